//! How a file ends: whole and with its name, or given up and cut to what is confirmed.

use alloc::vec::Vec;

use super::{
    super::{Item, TransferError},
    Handle, PutStep, Puts, Stage,
};

impl Puts {
    /// Sends what ends a file, once all its content is sent: at once if it is open on one channel,
    /// where the server keeps the order; else on the others first.
    pub(super) fn end(&mut self, item: Item) {
        let Some(file) = self.files.get_mut(&item) else { return };
        let all_sent = file.stage == Stage::Writing
            && file.plan.has_ended()
            && file.unsent == 0
            && file.loads == 0;
        if !all_sent {
            return;
        }
        let mut joined = false;
        let mut steps = Vec::new();
        for (lane, handle) in file.handles.iter_mut().enumerate().skip(1) {
            match *handle {
                Handle::Open => {
                    *handle = Handle::Over;
                    joined = true;
                    steps.push(PutStep::Close(item, lane));
                }
                // Its answer comes back here.
                Handle::Opening => return,
                Handle::Over => joined = true,
                Handle::None => {}
            }
        }
        for step in steps {
            self.step(item, step);
        }
        let Some(file) = self.files.get_mut(&item) else { return };
        let single = !joined;
        if !single && file.plan.under_way() > 0 {
            return;
        }
        file.stage = Stage::Ending;
        file.set_handle(0, Handle::Over);
        let (how, several) = (file.how, file.writes > 1);
        if how.set_attributes {
            self.step(item, PutStep::SetAttributes(item));
        }
        if how.sync {
            self.step(item, PutStep::Sync(item));
        }
        if several && single {
            self.step(item, PutStep::Size(item));
        }
        self.step(item, PutStep::Close(item, 0));
    }

    /// Ends a file when the last answer is there.
    pub(super) fn conclude(&mut self, item: Item) {
        let Some(file) = self.files.get_mut(&item) else { return };
        if file.others > 0 || file.plan.under_way() > 0 {
            return;
        }
        match file.stage {
            Stage::Ending if file.how.rename => {
                file.stage = Stage::Renaming;
                self.step(item, PutStep::Rename(item));
            }
            Stage::Ending | Stage::Renaming => {
                let end = file.plan.end();
                self.finished.push_back((item, Ok(end)));
                self.forget(item);
            }
            _ => {}
        }
    }

    /// Notes the size that the file has on the server, if it told one.
    pub fn on_size(&mut self, item: Item, size: Option<u64>) {
        self.answered(item);
        let Some(file) = self.files.get(&item) else { return };
        let moved = file.plan.end();
        match (file.stage, size) {
            (Stage::Over { .. }, _) => self.tidy(item),
            (_, Some(size)) if size != moved => {
                self.finish(item, Err(TransferError::SizeMismatch { moved, size }));
            }
            _ => self.conclude(item),
        }
    }

    /// Notes that a file was closed. A server that could not do that may have lost content.
    pub fn on_closed(&mut self, item: Item, ok: bool) {
        self.handles = self.handles.saturating_sub(1);
        self.answered(item);
        let Some(file) = self.files.get(&item) else { return };
        match file.stage {
            Stage::Over { .. } => self.tidy(item),
            _ if !ok => self.abandon(item),
            Stage::Writing => self.end(item),
            _ => self.conclude(item),
        }
    }

    pub(super) fn finish(&mut self, item: Item, result: Result<u64, TransferError>) {
        self.finished.push_back((item, result));
        self.abandon(item);
    }

    /// Gives up a file: nothing more is sent of it; once everything under way was answered, it is
    /// cut to what is confirmed and closed, or removed if it does not have its name yet.
    pub fn abandon(&mut self, item: Item) {
        if self.directories.contains_key(&item) {
            return self.abandon_directory(item);
        }
        let Some(file) = self.files.get_mut(&item) else { return };
        if let Stage::Over { .. } = file.stage {
            return self.tidy(item);
        }
        let unopened = file.stage == Stage::Waiting || file.handles.is_empty();
        file.stage = Stage::Over { cut: !unopened };
        file.kept = Some(file.plan.confirmed());
        file.unsent = 0;
        let waiting = core::mem::take(&mut file.waiting);
        let mut dropped = waiting.iter().map(|range| u64::from(range.len)).sum::<u64>();
        if !unopened {
            self.promised = self.promised.saturating_sub(file.promised);
        }
        file.promised = 0;
        self.ready.retain(|piece| {
            if piece.item == item {
                dropped = dropped.saturating_add(piece.range.len.into());
            }
            piece.item != item
        });
        self.held = self.held.saturating_sub(dropped);
        self.to_open.retain(|waiting| *waiting != item);
        // Steps that were not sent are not sent any more, but what closes a handle.
        let (mut unsent, mut unclosed): (usize, bool) = (0, false);
        self.steps.retain(|step| {
            let drop = step.ends(item);
            unsent = unsent.saturating_add(usize::from(drop));
            unclosed |= *step == PutStep::Close(item, 0);
            !drop
        });
        if let Some(file) = self.files.get_mut(&item) {
            file.others = file.others.saturating_sub(unsent);
            if unclosed {
                file.set_handle(0, Handle::Open);
            }
        }
        self.tidy(item);
    }

    /// Cuts, closes and removes what was given up, as far as it has come.
    pub(super) fn tidy(&mut self, item: Item) {
        let Some(file) = self.files.get_mut(&item) else { return };
        let Stage::Over { cut } = file.stage else { return };
        if file.others > 0 || file.plan.under_way() > 0 || file.loads > 0 {
            return;
        }
        if file.handles.contains(&Handle::Open) {
            if cut && !file.how.rename && file.handles.first() == Some(&Handle::Open) {
                file.stage = Stage::Over { cut: false };
                let confirmed = file.confirmed();
                self.step(item, PutStep::Cut(item, confirmed));
            }
            let Some(file) = self.files.get_mut(&item) else { return };
            let mut open = Vec::new();
            for (lane, handle) in file.handles.iter_mut().enumerate() {
                if *handle == Handle::Open {
                    *handle = Handle::Over;
                    open.push(lane);
                }
            }
            for lane in open {
                self.step(item, PutStep::Close(item, lane));
            }
        } else if cut && file.how.rename && file.handles.contains(&Handle::Over) {
            file.stage = Stage::Over { cut: false };
            self.step(item, PutStep::Remove(item));
        } else {
            self.forget(item);
        }
    }

    /// Drops a file, which is done or given up.
    pub(super) fn forget(&mut self, item: Item) {
        if let Some(file) = self.files.remove(&item) {
            self.leave_parent(file.how.parent);
        }
    }
}
