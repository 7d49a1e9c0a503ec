//! Changing an object member by member, without copying what stays as it is more than once.

use crate::json::{Finding, Node, NodeKind, Place, Report, Severity};
use alloc::borrow::Cow;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// An object being changed.
pub(super) struct Edit<'a> {
    pub(super) place: Place,
    members: Vec<(Arc<str>, Place, Cow<'a, Node>)>,
}

impl<'a> Edit<'a> {
    /// `None` if this is no object.
    pub(super) fn of(node: &'a Node) -> Option<Self> {
        let NodeKind::Object(members) = &node.kind else { return None };
        let members = members.iter().filter(|(_, _, node)| node.kind != NodeKind::Null);
        let members = members.map(|(name, place, node)| (name.clone(), *place, Cow::Borrowed(node))).collect();
        Some(Self { place: node.place, members })
    }

    /// An object without members.
    pub(super) fn empty(place: Place) -> Self {
        Self { place, members: Vec::new() }
    }

    fn find(&mut self, name: &str) -> Option<&mut (Arc<str>, Place, Cow<'a, Node>)> {
        self.members.iter_mut().find(|(n, _, _)| **n == *name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(n, _, _)| **n == *name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.members.iter().find(|(n, _, _)| **n == *name).map(|(_, _, node)| &**node)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'a, Node>> {
        let i = self.members.iter().position(|(n, _, _)| **n == *name)?;
        Some(self.members.remove(i).2)
    }

    /// The first of these members; all are removed.
    pub(super) fn take_any(&mut self, names: &[&str]) -> Option<Cow<'a, Node>> {
        names.iter().filter_map(|name| self.take(name)).fold(None, |first, node| first.or(Some(node)))
    }

    /// Adds or replaces a member.
    pub(super) fn put(&mut self, name: &str, node: Node) {
        let place = node.place;
        match self.find(name) {
            Some((_, _, present)) => *present = Cow::Owned(node),
            None => self.members.push((name.into(), place, Cow::Owned(node))),
        }
    }

    pub(super) fn put_text(&mut self, name: &str, text: &str, place: Place) {
        self.put(name, string(text, place));
    }

    /// Changes a member, if it is there.
    pub(super) fn map(&mut self, name: &str, change: impl FnOnce(&Node) -> Node) {
        if let Some((_, _, node)) = self.find(name) {
            *node = Cow::Owned(change(node));
        }
    }

    /// Gives a member another name. Both names at once are an error.
    pub(super) fn rename(&mut self, old: &str, new: &str, report: &Report) {
        let is_new = self.has(new);
        let Some((name, place, _)) = self.find(old) else { return };
        if !is_new {
            *name = new.into();
            return;
        }
        let place = *place;
        let message = format!("'{old}' and '{new}' mean the same; give one of them");
        report.add(Severity::Error, || Finding::new(Severity::Error, place, old, message));
        self.drop(&[old]);
    }

    pub(super) fn drop(&mut self, names: &[&str]) {
        self.members.retain(|(name, _, _)| !names.contains(&&**name));
    }

    pub(super) fn finish(self) -> Node {
        let members = self.members.into_iter().map(|(name, place, node)| (name, place, node.into_owned())).collect();
        Node { kind: NodeKind::Object(members), place: self.place }
    }
}

pub(super) fn string(text: &str, place: Place) -> Node {
    Node { kind: NodeKind::String(text.into()), place }
}

pub(super) fn list(nodes: Vec<Node>, place: Place) -> Node {
    Node { kind: NodeKind::List(nodes), place }
}

pub(super) fn boolean(value: bool, place: Place) -> Node {
    Node { kind: NodeKind::Boolean(value), place }
}

pub(super) fn integer(value: i64, place: Place) -> Node {
    Node { kind: NodeKind::Number(value.into()), place }
}

/// The elements of a list; anything else is one element.
pub(super) fn elements(node: &Node) -> &[Node] {
    match &node.kind {
        NodeKind::List(nodes) => nodes,
        _ => core::slice::from_ref(node),
    }
}

/// Each value of an object changed, its names kept.
pub(super) fn map_values(node: &Node, change: impl Fn(&Node) -> Node) -> Node {
    match &node.kind {
        NodeKind::Object(members) => {
            let members = members.iter().map(|(name, place, node)| (name.clone(), *place, change(node))).collect();
            Node { kind: NodeKind::Object(members), place: node.place }
        }
        _ => node.clone(),
    }
}
