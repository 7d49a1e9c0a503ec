//! States as bytes, for images: what is derived is left out and made again.

use super::items::{ItemAttachment, Items};
use super::{FileWatchState, Locks, Notices, OrderWatches, Plans, Side, State, Throttle};
use crate::id::{AgentPath, ControllerId, OrderWatchPath, WorkflowId};
use crate::model::item::Item;
use crate::model::key::ItemKey;
use crate::model::order::Order;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize)]
struct StateRef<'s> {
    side: &'s Side,
    controller_id: &'s ControllerId,
    items: &'s Items,
    locks: &'s Locks,
    notices: &'s Notices,
    plans: &'s Plans,
    watches: &'s OrderWatches,
    found: &'s BTreeMap<OrderWatchPath, FileWatchState>,
    throttle: &'s Throttle,
    orders: Vec<&'s Order>,
}

#[derive(Deserialize)]
struct StateImage {
    side: Side,
    controller_id: ControllerId,
    items: Items,
    locks: Locks,
    notices: Notices,
    plans: Plans,
    watches: OrderWatches,
    found: BTreeMap<OrderWatchPath, FileWatchState>,
    throttle: Throttle,
    orders: Vec<Order>,
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let orders = self.orders().collect();
        let Self { side, controller_id, items, locks, notices, plans, watches, found, throttle, .. } = self;
        StateRef { side, controller_id, items, locks, notices, plans, watches, found, throttle, orders }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StateImage { side, controller_id, items, locks, notices, plans, watches, found, throttle, orders } =
            StateImage::deserialize(deserializer)?;
        let mut state =
            Self { items, locks, notices, plans, watches, found, throttle, ..Self::new(side, controller_id) };
        for order in orders {
            state.put_order(order);
        }
        Ok(state)
    }
}

#[derive(Serialize, Deserialize)]
struct ItemsImage {
    items: Vec<Item>,
    current: Vec<WorkflowId>,
    attachments: BTreeMap<ItemKey, BTreeMap<AgentPath, ItemAttachment>>,
    deletion_marked: BTreeSet<ItemKey>,
}

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ItemsImage {
            items: self.all().collect(),
            current: self.current_versions().cloned().collect(),
            attachments: self.attachments.clone(),
            deletion_marked: self.deletion_marked.clone(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let image = ItemsImage::deserialize(deserializer)?;
        let mut items = Self::default();
        image
            .items
            .iter()
            .try_for_each(|item| items.put(item))
            .map_err(|problem| D::Error::custom(problem.to_string()))?;
        items.current = image.current.into_iter().map(|id| (id.path.clone(), id)).collect();
        items.attachments = image.attachments;
        items.deletion_marked = image.deletion_marked;
        Ok(items)
    }
}

impl State {
    /// Adds an order as it is, in whatever state: one of an image, or one about which it is asked what follows.
    pub fn put_order(&mut self, order: Order) {
        self.index(&order);
        let after = order.state.type_name();
        let before = self.orders.insert(order.id.clone(), Box::new(order));
        self.order_counts.change(before.map(|before| before.state.type_name()), Some(after));
    }

    /// A copy by way of an image, for tests: must be equal.
    ///
    /// # Errors
    /// The image cannot be read.
    #[cfg(test)]
    pub(crate) fn by_image(&self) -> crate::problem::Checked<Self> {
        let config = bincode::config::standard();
        let bytes = bincode::serde::encode_to_vec(self, config)
            .map_err(|error| crate::problem::Problem::new(error.to_string()))?;
        let (state, _) = bincode::serde::decode_from_slice(&bytes, config)
            .map_err(|error| crate::problem::Problem::new(error.to_string()))?;
        Ok(state)
    }
}
