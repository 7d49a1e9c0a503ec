use super::*;
use crate::id::{BoardPath, NoticeKey};
use crate::json::{from_text, print, to_text};
use crate::model::notice::NoticeId;
use alloc::sync::Arc;
use alloc::vec;

const NOON: Timestamp = Timestamp::from_millis(43_200_000);
const HOUR: Duration = Duration::from_secs(3600);

/// Plans with the notices they have.
#[derive(Default)]
struct World {
    plans: Plans,
    notices: Notices,
}

fn schema(named_values: &str) -> Arc<PlanSchema> {
    let text = alloc::format!(
        r#"{{"id": "Day", "unknownPlanIsOpenFunction": "day => $day >= $from", "namedValues": {named_values}}}"#
    );
    Arc::new(from_text(&text).unwrap())
}

fn plan(key: &str) -> PlanId {
    PlanId::Of(PlanSchemaId::new("Day"), PlanKey::new(key))
}

fn order(text: &str) -> OrderId {
    OrderId::new(text)
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        world.plans.put_schema(&schema(r#"{"from": ""}"#), &world.notices);
        world
    }

    fn apply(&mut self, events: &[Event]) -> Vec<&'static str> {
        for event in events {
            match event {
                Event::Plan(id, event) => {
                    if *event == PlanEvent::PlanDeleted {
                        self.notices.apply_plan_deleted(id);
                    }
                    self.plans.apply(id, event, &self.notices);
                }
                Event::PlanSchema(id, event) => self.plans.apply_schema(id, event, &self.notices),
                Event::Board(path, event) => self.notices.apply(path, event),
                other => panic!("unexpected {other:?}"),
            }
            self.plans.check().unwrap();
        }
        events.iter().map(Event::type_name).collect()
    }

    fn change(&mut self, key: &str, status: PlanStatus) -> Checked<Vec<&'static str>> {
        let events = self.plans.decide_change(&plan(key), status, &self.notices, NOON)?;
        Ok(self.apply(&events))
    }

    fn change_schema(&mut self, from: Option<&str>, retention: Option<Duration>) {
        let named_values = from.map(|from| [("from".into(), Value::from(from))].into_iter().collect());
        let event = self.plans.decide_change_schema(&PlanSchemaId::new("Day"), named_values, retention).unwrap();
        self.apply(&[event]);
    }

    fn delete_order(&mut self, key: &str, id: &str) -> Vec<&'static str> {
        self.plans.apply_order_removed(&plan(key), &order(id), &self.notices);
        let events = self.plans.decide_after_order_deleted(&plan(key), &self.notices, NOON);
        self.apply(&events)
    }

    fn post(&mut self, key: &str) {
        let id = NoticeId { plan_id: plan(key), board_path: BoardPath::new("B"), notice_key: NoticeKey::new("") };
        self.notices.apply_posted(&id, None);
        self.plans.apply_notices_changed(&plan(key), &self.notices);
    }

    fn known(&self) -> Vec<String> {
        self.plans.snapshot().map(|plan| to_text(&plan)).collect()
    }
}

#[test]
fn asks_the_schema_about_unknown_plans() {
    let mut world = World::new();
    world.change_schema(Some("5"), None);
    assert_eq!(world.plans.status(&plan("5")), Ok(PlanStatus::Open));
    assert_eq!(world.plans.status(&plan("4")), Ok(PlanStatus::Deleted));
    assert_eq!(world.change("6", PlanStatus::Open).unwrap_err().message, "Plan:Day╱6 is already Open");
    assert_eq!(world.change("4", PlanStatus::Open), Ok(vec!["PlanOpened"]));
    assert_eq!(world.known(), [r#"{"TYPE":"Plan","planId":["Day","4"],"status":"Open"}"#]);
    let unknown = world.plans.status(&PlanId::Of(PlanSchemaId::new("X"), PlanKey::new("1")));
    assert_eq!(unknown.unwrap_err().code, "UnknownKey");
    world.plans.put_schema(&schema("{}"), &world.notices);
    assert!(world.plans.status(&plan("9")).is_err());
}

#[test]
fn takes_orders_as_its_status_says() {
    let mut world = World::new();
    let accepts =
        |world: &World, part| world.plans.check_accepts_order(&plan("1"), part).map_err(|p| p.code.into_owned());
    assert_eq!(accepts(&world, false), Ok(()));
    world.plans.apply_order_added(&plan("1"), &order("A"));
    assert_eq!(world.change("1", PlanStatus::Closed), Ok(vec!["PlanClosed"]));
    assert_eq!((accepts(&world, false), accepts(&world, true)), (Err("PlanIsClosed".into()), Ok(())));
    world.change_schema(None, Some(HOUR));
    assert_eq!(world.delete_order("1", "A"), ["PlanFinished"]);
    assert_eq!(accepts(&world, true), Err("PlanIsFinished".into()));
    assert_eq!(world.change("1", PlanStatus::Deleted), Ok(vec!["PlanDeleted"]));
    assert_eq!(accepts(&world, true), Err("PlanIsDeleted".into()));
    assert_eq!(world.plans.check_accepts_order(&PlanId::Global, false), Ok(()));
}

#[test]
fn refuses_jumps() {
    let mut world = World::new();
    world.plans.apply_order_added(&plan("1"), &order("A"));
    assert!(world.change("1", PlanStatus::Deleted).is_err());
    assert!(world.change("1", PlanStatus::Finished { at: NOON }).is_err());
    world.change("1", PlanStatus::Closed).unwrap();
    assert!(world.change("1", PlanStatus::Deleted).is_err());
    assert_eq!(world.change("1", PlanStatus::Closed).unwrap_err().message, "Plan:Day╱1 is already Closed");
    world.change("2", PlanStatus::Closed).unwrap();
    assert!(world.change("2", PlanStatus::Closed).unwrap_err().message.contains("is Deleted"));
    let global = world.plans.decide_change(&PlanId::Global, PlanStatus::Closed, &world.notices, NOON);
    assert!(global.is_err());
}

#[test]
fn ends_with_its_last_order_and_takes_its_notices_along() {
    let mut world = World::new();
    for id in ["A", "B"] {
        world.plans.apply_order_added(&plan("1"), &order(id));
    }
    world.post("1");
    world.change("1", PlanStatus::Closed).unwrap();
    assert_eq!(world.delete_order("1", "A"), [""; 0]);
    assert_eq!(world.delete_order("1", "B"), ["PlanFinished", "NoticeDeleted", "PlanDeleted"]);
    assert_eq!(world.known(), [r#"{"TYPE":"Plan","planId":["Day","1"],"status":"Deleted"}"#]);
    world.change_schema(Some("2"), None);
    assert_eq!(world.known(), [""; 0]);
}

#[test]
fn is_kept_for_a_retention_period() {
    let mut world = World::new();
    world.change_schema(None, Some(HOUR));
    assert_eq!(world.change("1", PlanStatus::Closed), Ok(vec!["PlanClosed", "PlanFinished"]));
    assert_eq!(world.plans.next_deletion(), Some(NOON + HOUR));
    assert_eq!(world.plans.decide_deletions(&world.notices, NOON), []);
    world.change_schema(None, Some(Duration::from_secs(60)));
    let due = NOON + Duration::from_secs(60);
    assert_eq!(world.plans.next_deletion(), Some(due));
    let events = world.plans.decide_deletions(&world.notices, due);
    assert_eq!(world.apply(&events), ["PlanDeleted"]);
    assert_eq!((world.plans.next_deletion(), world.plans.status(&plan("1"))), (None, Ok(PlanStatus::Deleted)));
}

#[test]
fn is_forgotten_when_there_is_nothing_to_know() {
    let mut world = World::new();
    world.plans.apply_order_added(&plan("1"), &order("A"));
    world.post("1");
    assert_eq!(world.delete_order("1", "A"), [""; 0]);
    assert_eq!(world.known().len(), 1);
    let events = world.notices.decide_deletion_of_plan(&plan("1"));
    world.apply(&events);
    world.plans.apply_notices_changed(&plan("1"), &world.notices);
    assert_eq!(world.known(), [""; 0]);
}

#[test]
fn is_deletable_without_orders() {
    let mut world = World::new();
    for id in ["POST", "CONSUME"] {
        world.plans.apply_order_added(&plan("1"), &order(id));
    }
    assert_eq!(
        world.plans.check_deletable(&PlanSchemaId::new("Day")).unwrap_err().message,
        "PlanSchema:Day cannot be deleted because it is in use by Plan:1 with Order:POST, Order:CONSUME"
    );
    world.delete_order("1", "POST");
    world.delete_order("1", "CONSUME");
    assert_eq!(world.plans.check_deletable(&PlanSchemaId::new("Day")), Ok(()));
}

#[test]
fn keeps_commanded_values_when_the_item_changes() {
    let mut world = World::new();
    world.change_schema(Some("5"), None);
    world.plans.put_schema(&schema(r#"{"from": "", "new": 1}"#), &world.notices);
    let state = world.plans.schema(&PlanSchemaId::new("Day")).unwrap();
    assert_eq!(print(&Value::Object(state.named_values().clone())), r#"{"from":"5","new":1}"#);
    world.plans.put_schema(&schema(r#"{"from": "7"}"#), &world.notices);
    let state = world.plans.schema(&PlanSchemaId::new("Day")).unwrap();
    assert_eq!(print(&Value::Object(state.named_values().clone())), r#"{"from":"7"}"#);
}

#[test]
fn survives_an_image() {
    let mut world = World::new();
    world.plans.apply_order_added(&plan("1"), &order("A"));
    let bytes = bincode::serde::encode_to_vec(&world.plans, bincode::config::standard()).unwrap();
    let (image, _): (Plans, _) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
    assert_eq!(image, world.plans);
}
