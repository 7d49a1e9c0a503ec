use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn order(text: &str) -> OrderId {
    OrderId::new(text)
}

fn plan(key: &str) -> PlanId {
    PlanId::Of(PlanSchemaId::new("Day"), PlanKey::new(key))
}

fn notice(plan_id: PlanId, board: &str, key: &str) -> NoticeId {
    NoticeId { plan_id, board_path: BoardPath::new(board), notice_key: NoticeKey::new(key) }
}

fn global(board: &str, key: &str) -> NoticeId {
    notice(PlanId::Global, board, key)
}

fn apply_all(notices: &mut Notices, events: &[Event]) {
    for event in events {
        let Event::Board(path, event) = event else { panic!("not of a board: {event:?}") };
        notices.apply(path, event);
    }
    notices.check().unwrap();
}

#[test]
fn knows_what_is_available() {
    let mut notices = Notices::default();
    let id = notice(plan("1"), "B", "k");
    assert_eq!(notices.availability(&id), Availability::Unknown);
    assert!(notices.is_to_be_announced(&id) && !notices.is_to_be_announced(&global("B", "k")));
    notices.apply_announced(&id);
    assert_eq!((notices.availability(&id), notices.is_to_be_announced(&id)), (Availability::False, false));
    notices.apply_posted(&id, None);
    assert_eq!((notices.availability(&id), notices.is_to_be_announced(&id)), (Availability::True, false));
    let event = notices.decide_delete(&id).unwrap();
    apply_all(&mut notices, &[event]);
    assert_eq!((notices.availability(&id), notices.iter().count()), (Availability::Unknown, 0));
    assert_eq!(notices.decide_delete(&id).unwrap_err().code, "UnknownKey");
}

#[test]
fn forgets_a_place_without_content() {
    let mut notices = Notices::default();
    let ids = [global("A", "k"), global("B", "k")];
    notices.apply_expected(&order("O"), &ids);
    assert_eq!(notices.expecting(&ids[0]).collect::<Vec<_>>(), [&order("O")]);
    notices.apply_posted(&ids[0], None);
    notices.apply_expected_no_more(&order("O"), &ids);
    assert_eq!(notices.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&ids[0]]);
    notices.check().unwrap();
}

#[test]
fn is_taken_away_by_the_last_consumer() {
    let mut notices = Notices::default();
    let ids = [global("A", "k"), global("B", "k")];
    notices.apply_posted(&ids[0], Some(NOW));
    notices.apply_consumption_started(&order("1"), &ids);
    notices.apply_consumption_started(&order("2"), &ids[..1]);
    assert_eq!(notices.availability(&ids[0]), Availability::True);
    assert!(!notices.get(&ids[1]).unwrap().is_posted());
    notices.apply_consumed(&order("1"), false);
    let place = notices.get(&ids[0]).unwrap();
    assert_eq!((place.is_posted(), place.is_in_consumption(), place.consumption_count()), (true, true, 1));
    notices.check().unwrap();
    notices.apply_consumed(&order("2"), false);
    assert_eq!((notices.iter().count(), notices.next_end_of_life()), (0, None));
    notices.check().unwrap();
}

#[test]
fn stays_when_the_consumer_fails_or_it_was_posted_again() {
    let id = global("A", "k");
    for (posts_again, failed) in [(false, true), (true, false), (true, true)] {
        let mut notices = Notices::default();
        notices.apply_posted(&id, None);
        notices.apply_consumption_started(&order("O"), core::slice::from_ref(&id));
        if posts_again {
            notices.apply_posted(&id, None);
        }
        notices.apply_consumed(&order("O"), failed);
        let place = notices.get(&id).unwrap();
        assert_eq!((place.is_posted(), place.is_in_consumption(), place.consumption_count()), (true, false, 0));
    }
}

#[test]
fn ends_nested_consumptions_from_inside() {
    let mut notices = Notices::default();
    let (outer, inner) = (global("A", "k"), global("B", "k"));
    for id in [&outer, &inner] {
        notices.apply_posted(id, None);
        notices.apply_consumption_started(&order("O"), core::slice::from_ref(id));
    }
    // The same notice once more.
    notices.apply_consumption_started(&order("O"), core::slice::from_ref(&outer));
    assert_eq!(notices.get(&outer).unwrap().consumption_count(), 2);
    notices.apply_consumed(&order("O"), false);
    assert_eq!(notices.innermost_consumption(&order("O")), Some(core::slice::from_ref(&inner)));
    notices.apply_consumed(&order("O"), true);
    notices.apply_consumed(&order("O"), false);
    assert_eq!(notices.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&inner]);
    assert_eq!(notices.innermost_consumption(&order("O")), None);
    notices.check().unwrap();
}

#[test]
fn ends_by_itself() {
    let mut notices = Notices::default();
    let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1_000));
    notices.apply_posted(&global("A", "late"), at(30));
    notices.apply_posted(&global("A", "early"), at(20));
    notices.apply_posted(&global("A", "early"), at(25));
    assert_eq!(notices.next_end_of_life(), at(25));
    assert_eq!(notices.decide_ends(Timestamp::from_millis(24_999), 9), []);
    let events = notices.decide_ends(Timestamp::from_millis(25_000), 9);
    assert_eq!(events, [deleted(&global("A", "early"))]);
    apply_all(&mut notices, &events);
    assert_eq!(notices.next_end_of_life(), at(30));
}

#[test]
fn wakes_nobody_with_an_ended_notice() {
    let id = global("A", "k");
    let (events, wakes) = Notices::decide_post(&id, Some(NOW), NOW);
    assert_eq!((events.len(), wakes), (2, false));
    let mut notices = Notices::default();
    apply_all(&mut notices, &events);
    assert_eq!(notices, Notices::default());
    assert!(Notices::decide_post(&id, None, NOW).1);
}

#[test]
fn finds_the_places_of_a_plan_and_of_a_board() {
    let mut notices = Notices::default();
    let ids = [
        global("A", ""),
        global("B", "x"),
        notice(plan("1"), "A", "y"),
        notice(plan("1"), "B", "x"),
        notice(plan("1"), "B", "z"),
        notice(plan("10"), "B", ""),
        notice(PlanId::Of(PlanSchemaId::new("Week"), PlanKey::new("1")), "B", ""),
    ];
    for id in &ids {
        notices.apply_posted(id, None);
    }
    let found = |board: &str| notices.of_board(&BoardPath::new(board)).map(|(id, _)| id.clone()).collect::<Vec<_>>();
    assert_eq!(found("B"), [&ids[1], &ids[3], &ids[4], &ids[5], &ids[6]].map(Clone::clone));
    assert_eq!(found("A"), [&ids[0], &ids[2]].map(Clone::clone));
    assert_eq!(found("C"), []);
    assert_eq!(notices.of_plan(&plan("1")).count(), 3);
    assert!(notices.has_plan(&plan("10")) && !notices.has_plan(&plan("2")));
    let events = notices.decide_deletion_of_plan(&plan("1"));
    apply_all(&mut notices, &events);
    notices.apply_plan_deleted(&plan("1"));
    assert!(!notices.has_plan(&plan("1")) && notices.has_plan(&plan("10")));
}

/// The notices `1A` … of the global plan go to the plan and key of these characters.
fn split(id: &NoticeId) -> Checked<Moved> {
    let (plan_key, key) = id.notice_key.as_str().split_at(1);
    let key = PlannedNoticeKey { plan_id: plan(plan_key), notice_key: NoticeKey::new(key) };
    Ok(Moved { key, end_of_life: None })
}

#[test]
fn moves_notices_with_their_consumers() {
    let mut notices = Notices::default();
    let (consumed, expected) = (global("B", "1A"), global("B", "1X"));
    notices.apply_posted(&consumed, Some(NOW));
    notices.apply_consumption_started(&order("C"), core::slice::from_ref(&consumed));
    notices.apply_expected(&order("E"), &[consumed.clone(), expected.clone()]);
    let board = BoardPath::new("B");
    let decide = |notices: &Notices, plan_key: &str| {
        let plan_id = plan(plan_key);
        notices.decide_move(&board, &PlanId::is_global, &split, &|_| Some(plan_id.clone()))
    };
    assert!(decide(&notices, "2").unwrap_err().message.contains("Order:C"));
    let moved = decide(&notices, "1").unwrap();
    assert_eq!((moved.events.len(), &*moved.expecting), (1, &[order("E")][..]));
    apply_all(&mut notices, &moved.events);
    notices.apply_expected_no_more(&order("E"), &[consumed, expected]);
    let target = notice(plan("1"), "B", "A");
    assert_eq!(notices.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&target]);
    assert_eq!(notices.next_end_of_life(), None);
    notices.apply_consumed(&order("C"), false);
    assert_eq!(notices, Notices::default());
}

#[test]
fn refuses_to_move_two_notices_to_the_same_place() {
    let mut notices = Notices::default();
    notices.apply_posted(&notice(plan("1"), "B", "A"), None);
    notices.apply_posted(&notice(plan("2"), "B", "A"), None);
    let to_global = |id: &NoticeId| {
        let key = PlannedNoticeKey { plan_id: PlanId::Global, notice_key: id.notice_key.clone() };
        Ok(Moved { key, end_of_life: None })
    };
    let board = BoardPath::new("B");
    let moved = notices.decide_move(&board, &|plan_id| !plan_id.is_global(), &to_global, &|_| None);
    assert!(moved.unwrap_err().message.contains("another notice"));
}

#[test]
fn writes_what_snapshots_show() {
    let mut notices = Notices::default();
    let id = global("B", "k");
    notices.apply_posted(&id, Some(NOW));
    notices.apply_consumption_started(&order("O"), core::slice::from_ref(&id));
    let json: Vec<_> =
        Notices::to_json(&id, notices.get(&id).unwrap()).map(|value| crate::json::print(&value)).collect();
    assert_eq!(
        json,
        [
            r#"{"TYPE":"Notice","endOfLife":1000,"id":["B","k"]}"#,
            r#"{"TYPE":"NoticePlace","consumptionCount":1,"isInConsumption":true,"noticeId":["B","k"]}"#,
        ]
    );
}
