//! Runs a download: asks what the plan says, and gives what comes to the disk.
//!
//! A turn of the loop here takes what is there, of replies, of the disk's results and of comparisons,
//! and asks for more. What each of them leads to is beside it: [`requests`] for what goes to the
//! server, [`tree`] and [`links`] for what comes with a listing, [`local`] for content and the disk,
//! [`compare`] for resuming and verifying, [`ending`] for how each file comes to its end.

mod compare;
mod ending;
mod entry;
mod links;
mod local;
mod requests;
mod tree;

use core::pin::{Pin, pin};
use std::{
    collections::{HashMap, VecDeque},
    fs,
    path::PathBuf,
    sync::Arc,
};

use sftp::{
    Attrs, OpenFlags,
    client::{Handle, RequestId, Response},
    transfer::{Gets, Item},
};
use tokio::task::JoinSet;

use self::{
    entry::{Entry, active},
    requests::Asked,
};
use super::{
    Clock, Report, TOP,
    account::Account,
    check::Checked,
    options::Settings,
    rest,
    sink::{Manner, Sink},
    worker::Worker,
};
use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath, Sftp,
        engine::{Opened, Ticket},
        expect_attrs, unexpected,
    },
};

/// A download that is under way.
pub(super) struct Fetch {
    sftp: Sftp,
    settings: Settings,
    ticket: Ticket,
    plan: Gets,
    clock: Clock,
    sink: Worker<Sink>,
    entries: HashMap<Item, Entry>,
    asked: HashMap<RequestId, Asked>,
    /// Links of the tree that were not looked at.
    links: VecDeque<Item>,
    /// Files of which is to be seen how much is there.
    to_look: VecDeque<Item>,
    /// How many of those are under way, and what is being compared.
    looking: usize,
    checks: JoinSet<(Item, Checked)>,
    next_item: u32,
    /// What the names take that were listed and are not done.
    listed: usize,
    account: Account,
}

impl Fetch {
    pub(super) fn new(sftp: Sftp, settings: Settings) -> Self {
        sftp.engine.expect_data();
        let manner = Manner {
            atomic: settings.atomic,
            sync: settings.sync,
            // What is written over has to be written over with zeroes as well.
            sparse: settings.sparse && !settings.in_place,
            in_place: settings.in_place,
        };
        Self {
            ticket: sftp.engine.ticket(),
            plan: plan(&sftp, &settings),
            clock: Clock::start(),
            sink: Worker::start(Sink::new(manner), settings.on_this_thread),
            entries: HashMap::new(),
            asked: HashMap::new(),
            links: VecDeque::new(),
            to_look: VecDeque::new(),
            looking: 0,
            checks: JoinSet::new(),
            next_item: 1,
            listed: 0,
            account: Account::new("get", &settings.monitor),
            sftp,
            settings,
        }
    }

    /// Downloads what is at `remote`.
    pub(super) async fn run(
        mut self,
        remote: RemotePath,
        local: PathBuf,
        file: Option<fs::File>,
    ) -> Report {
        let mut top = Entry::new(remote, local, Attrs::NONE);
        top.file = file;
        let top_path = top.remote.clone();
        self.entries.insert(TOP, top);
        let monitor = self.settings.monitor.clone();
        let mut cancelled = pin!(monitor.cancelled());
        let begun = tokio::select! {
            begun = self.begin() => begun,
            () = &mut cancelled => Err(SftpErrorKind::Cancelled),
        };
        let broken = match begun {
            Ok(()) => loop {
                match self.turn(cancelled.as_mut()).await {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err(kind) => break Some(kind),
                }
            },
            Err(kind) => {
                self.fail(TOP, kind);
                None
            }
        };
        if let Some(kind) = broken {
            self.break_off(&kind, &top_path).await;
        }
        self.sink.finish().await;
        self.account.finish()
    }

    /// Looks at what there is, and opens it in the same round trip.
    async fn begin(&mut self) -> Result<(), SftpErrorKind> {
        let Some(top) = self.entries.get(&TOP) else { return Ok(()) };
        let path = top.remote.clone();
        let path = path.as_bytes();
        let asking = self.sftp.engine.ticket();
        asking.send_in_turn(|client, out| client.stat(path, out)).await?;
        let recursive = self.settings.recursive;
        let open = self.ticket.send_in_turn(|client, out| match recursive {
            true => client.opendir(path, out),
            false => client.open(path, OpenFlags::READ, &Attrs::NONE, out),
        });
        open.await?;
        if self.sftp.begun().await.is_ok() {
            // What the server accepts is known now; if there is no session, the replies say why.
            self.plan = plan(&self.sftp, &self.settings);
        }
        let attrs = asking.reply().await.and_then(|(_, reply)| expect_attrs(reply));
        let opened = self.ticket.reply().await?.1;
        let handle = match opened {
            Response::Handle(handle) => Some(handle),
            // It is no directory, if it is anything at all.
            _ if recursive => None,
            other => return Err(unexpected(other)),
        };
        let attrs = match attrs {
            Ok(attrs) => attrs,
            Err(kind) => {
                self.close(handle);
                return Err(kind);
            }
        };
        if let Some(top) = self.entries.get_mut(&TOP) {
            top.attrs = attrs;
        }
        match (attrs.is_dir(), recursive, handle) {
            (true, true, Some(handle)) => {
                self.set_handle(TOP, handle);
                self.begin_directory(TOP);
                self.plan.add_open_directory(TOP);
            }
            (true, true, None) => {
                self.begin_directory(TOP);
                self.plan.add_directory(TOP);
            }
            (true, false, handle) => {
                self.close(handle);
                return Err(SftpErrorKind::IsADirectory);
            }
            (false, _, handle) => {
                if let Some(handle) = handle {
                    self.set_handle(TOP, handle);
                }
                self.begin_file(TOP);
            }
        }
        Ok(())
    }

    pub(super) fn close(&self, handle: Option<Handle>) {
        if let Some(handle) = handle {
            self.sftp.engine.send_and_forget(move |client, out| client.close(&handle, out));
        }
    }

    pub(super) fn set_handle(&mut self, item: Item, handle: Handle) {
        match self.entries.get_mut(&item) {
            Some(entry) => {
                entry.handle = Some(Opened::new(Arc::clone(&self.sftp.engine), handle));
            }
            None => self.close(Some(handle)),
        }
    }

    /// Does what can be done, and waits for what comes next. False when all is done.
    async fn turn(
        &mut self,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, SftpErrorKind> {
        while let Some(done) = self.sink.try_next() {
            self.on_disk(done);
        }
        if self.asked.is_empty() {
            tokio::select! {
                turn = self.ticket.reserve() => turn?,
                () = cancelled.as_mut() => return Err(SftpErrorKind::Cancelled),
            }
        }
        self.ask()?;
        let (entries, plan) = (&self.entries, &self.plan);
        self.account.meter.update(|| active(entries, plan));
        let left = self.links.len().saturating_add(self.to_look.len()).saturating_add(self.looking);
        let waits = left > 0 || !self.plan.only_closes(self.asked.len());
        let waits = waits && !self.asked.is_empty();
        let disk = self.sink.pending() > 0;
        let checks = !self.checks.is_empty();
        let now = self.clock.now();
        let pause = self.plan.opens(now).map(|at| at.since(now));
        if !waits && !disk && !checks && pause.is_none() {
            self.ticket.flush();
            return Ok(false);
        }
        tokio::select! {
            biased;
            reply = self.ticket.reply(), if waits => {
                let (id, response) = reply?;
                self.on_reply(id, response);
            }
            done = self.sink.next(), if disk => {
                if let Some(done) = done {
                    self.on_disk(done);
                }
            }
            checked = self.checks.join_next(), if checks => {
                if let Some(Ok((item, checked))) = checked {
                    self.on_checked(item, checked);
                }
            }
            () = rest(pause), if pause.is_some() => {}
            () = cancelled => return Err(SftpErrorKind::Cancelled),
        }
        Ok(true)
    }
}

/// A plan of nothing yet, for what is known of the server.
fn plan(sftp: &Sftp, settings: &Settings) -> Gets {
    let limits = sftp.engine.client(|client| client.limits());
    Gets::new(&settings.planned(sftp, limits.max_read))
}
