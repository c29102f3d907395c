//! Runs an upload: reads what the plan wants to be loaded, and sends what it says.
//!
//! A turn of the loop here takes what is there, of replies, of the disk's results, of comparisons and
//! of further channels, and asks for more. What each of them leads to is beside it: [`requests`] for
//! what goes to the server, [`lanes`] for the channels it goes over, [`local`] for what is found and
//! read here, [`compare`] for resuming and verifying, [`ending`] for how each file comes to its end.

mod buffers;
mod compare;
mod ending;
mod entry;
mod lanes;
mod local;
mod requests;

use core::pin::{Pin, pin};
use std::{collections::HashMap, path::PathBuf};

use bytes::Bytes;
use sftp::{
    Extension,
    transfer::{Item, MAX_WAITING, Puts},
};
use tokio::task::JoinSet;

use self::{
    buffers::Buffers,
    entry::{Entry, active},
    lanes::{Lane, reply},
};
use super::{
    Clock, Report, TOP,
    account::Account,
    check::Checked,
    options::Settings,
    rest,
    source::{Job, Source},
    worker::Worker,
};
use crate::{
    error::{Error, SftpErrorKind},
    sftp::{RemotePath, Sftp},
};

/// An upload that is under way.
pub(super) struct Sending {
    settings: Settings,
    plan: Puts,
    clock: Clock,
    source: Worker<Source>,
    /// The first is the session of the user.
    lanes: Vec<Lane>,
    /// Further channels that are being opened.
    opening: JoinSet<Result<Sftp, Error>>,
    /// Whether it was decided how many channels there shall be.
    decided: bool,
    entries: HashMap<Item, Entry>,
    /// What was loaded and not sent.
    loaded: HashMap<(Item, u64), Bytes>,
    buffers: Buffers,
    /// Directories that were not listed.
    to_list: Vec<Item>,
    checks: JoinSet<(Item, Checked)>,
    next_item: u32,
    request_len: u32,
    account: Account,
}

impl Sending {
    pub(super) fn new(sftp: Sftp, settings: Settings) -> Self {
        let limits = sftp.engine.client(|client| client.limits());
        let mut options = settings.planned(&sftp, limits.max_write);
        options.window = sftp.engine.window();
        Self {
            plan: Puts::new(&options),
            clock: Clock::start(),
            source: Worker::start(
                Source::new(settings.links, settings.sparse),
                settings.on_this_thread,
            ),
            lanes: vec![Lane::new(sftp)],
            opening: JoinSet::new(),
            decided: settings.channels <= 1,
            entries: HashMap::new(),
            loaded: HashMap::new(),
            buffers: Buffers::default(),
            to_list: Vec::new(),
            checks: JoinSet::new(),
            next_item: 1,
            request_len: options.request_len,
            account: Account::new("put", &settings.monitor),
            settings,
        }
    }

    pub(super) fn sftp(&self) -> Option<&Sftp> {
        self.lanes.first().map(|lane| &lane.sftp)
    }

    pub(super) fn has(&self, extension: Extension) -> bool {
        self.sftp().is_some_and(|sftp| sftp.has(extension))
    }

    /// Uploads what is at `local`.
    pub(super) async fn run(mut self, local: PathBuf, remote: RemotePath) -> Report {
        self.entries.insert(TOP, Entry::new(remote.clone(), local.clone()));
        self.source.send(Job::Look(TOP, local));
        let monitor = self.settings.monitor.clone();
        let mut cancelled = pin!(monitor.cancelled());
        let broken = loop {
            match self.turn(cancelled.as_mut()).await {
                Ok(true) => {}
                Ok(false) => break None,
                Err(kind) => break Some(kind),
            }
        };
        if let Some(kind) = broken {
            self.break_off(kind, &remote).await;
        }
        self.account.finish()
    }

    /// Does what can be done, and waits for what comes next. False when all is done.
    async fn turn(
        &mut self,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, SftpErrorKind> {
        while let Some(done) = self.source.try_next() {
            self.on_disk(done);
        }
        if let Some(lane) = self.lanes.first().filter(|lane| lane.asked.is_empty()) {
            tokio::select! {
                turn = lane.ticket.reserve() => turn?,
                () = cancelled.as_mut() => return Err(SftpErrorKind::Cancelled),
            }
        }
        self.ask()?;
        let (entries, plan) = (&self.entries, &self.plan);
        self.account.meter.update(|| active(entries, plan));
        let waits = self.lanes.iter().any(|lane| !lane.asked.is_empty());
        let disk = self.source.pending() > 0;
        let checks = !self.checks.is_empty();
        let now = self.clock.now();
        let pause = self.plan.opens(now).map(|at| at.since(now));
        if !waits && !disk && !checks && pause.is_none() {
            return Ok(false);
        }
        let opening = !self.opening.is_empty();
        let lanes = &self.lanes;
        tokio::select! {
            biased;
            reply = reply(lanes), if waits => {
                let (lane, id, response) = reply?;
                self.on_reply(lane, id, response);
            }
            done = self.source.next(), if disk => {
                if let Some(done) = done {
                    self.on_disk(done);
                }
            }
            checked = self.checks.join_next(), if checks => {
                if let Some(Ok((item, checked))) = checked {
                    self.on_checked(item, checked);
                }
            }
            opened = self.opening.join_next(), if opening => {
                self.on_lane(opened.and_then(Result::ok).and_then(Result::ok));
            }
            () = rest(pause), if pause.is_some() => {}
            () = cancelled => return Err(SftpErrorKind::Cancelled),
        }
        Ok(true)
    }

    /// Sends and loads what the plan wants.
    fn ask(&mut self) -> Result<(), SftpErrorKind> {
        while self.plan.waiting() < MAX_WAITING {
            let Some(item) = self.to_list.pop() else { break };
            if let Some(entry) = self.entries.get(&item) {
                self.source.send(Job::List(item, entry.local.clone()));
            }
        }
        while let Some(load) = self.plan.next_load() {
            let Some(entry) = self.entries.get(&load.item) else {
                self.plan.on_loaded(load, 0, true);
                continue;
            };
            let wide = load.range.len > self.request_len / 2;
            let buffer = if wide { self.buffers.take() } else { None };
            self.source.send(Job::Load(load, entry.local.clone(), buffer.unwrap_or_default()));
        }
        while self.has_room() {
            let Some(step) = self.plan.next(self.clock.now()) else { break };
            self.send(step)?;
        }
        self.lanes.iter().skip(1).for_each(|lane| lane.ticket.flush());
        Ok(())
    }
}
