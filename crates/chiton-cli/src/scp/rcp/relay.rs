//! Between two other ends: what one sends is checked here before the other gets it.

use scp::{Asked, Event, Misuse, Offer, Reply, Sink, Source};

use super::{
    super::{Settings, told},
    asked, ended, explain, remote,
    wire::Wire,
};
use crate::{
    destination::Destination,
    failure::{Failure, Result},
    log::say,
    sftp::show,
};

/// Copies from one host to another through this machine.
pub(in crate::scp) async fn relay(
    settings: &Settings,
    (from, path): (&Destination, &[u8]),
    (to, target): (&Destination, &[u8]),
    several: bool,
) -> Result<bool> {
    let command = remote(settings, false, false).command(path);
    let (input, output, sending) = settings.reach.run(from, &command).await?;
    let mut from = Wire::new(input, output);
    let command = remote(settings, true, several).command(target);
    let (input, output, receiving) = settings.reach.run(to, &command).await?;
    let mut to = Wire::new(input, output);
    let asked = if settings.trusting { Asked::Anything } else { asked(path) };
    let mut relay = Relay { source: Source::new(), complete: true };
    let complete = told(relay.run(&mut from, &mut to, asked, settings.recursive).await);
    let received = ended(complete, to, receiving).await;
    let sent = ended(complete, from, sending).await;
    Ok(received && sent)
}

struct Relay {
    /// This side towards the receiver.
    source: Source,
    complete: bool,
}

impl Relay {
    async fn run(
        &mut self,
        from: &mut Wire,
        to: &mut Wire,
        asked: Asked,
        recursive: bool,
    ) -> Result<bool> {
        if self.reply(to).await?.is_some() {
            return Ok(false);
        }
        let mut out = Vec::new();
        let mut sink = Sink::new(asked, recursive, &mut out);
        loop {
            from.write(&out).await?;
            out.clear();
            let input = from.read().await?;
            if input.is_empty() {
                break;
            }
            let mut rest = input;
            let handled = self.take(&mut sink, &mut rest, &mut out, to).await;
            let taken = input.len().saturating_sub(rest.len());
            from.take(taken);
            if let Err(failure) = handled {
                from.write(&out).await.ok();
                return Err(failure);
            }
        }
        sink.finish().map_err(|error| explain(&error))?;
        Ok(self.complete)
    }

    async fn take(
        &mut self,
        sink: &mut Sink,
        input: &mut &[u8],
        out: &mut Vec<u8>,
        to: &mut Wire,
    ) -> Result<()> {
        while let Some(event) = sink.receive(input, out).map_err(|error| explain(&error))? {
            let mut message = Vec::new();
            let refused = match event {
                Event::Data(data) => {
                    to.write(data).await?;
                    self.source.sent(data.len()).map_err(misused)?;
                    continue;
                }
                Event::Trouble(text) => {
                    self.told(&text.to_string());
                    continue;
                }
                Event::File(offer) => {
                    let Offer { name, mode, size, .. } = &offer;
                    match self.times(&offer, to).await? {
                        None => {
                            self.source.file(name, *mode, *size, &mut message).map_err(misused)?;
                            self.exchange(to, &message).await?
                        }
                        refused => refused,
                    }
                }
                Event::FileEnd { trouble } => {
                    let text = trouble.map(|text| text.to_string());
                    if let Some(text) = &text {
                        self.told(text);
                    }
                    self.source.file_end(text.as_deref(), &mut message).map_err(misused)?;
                    self.exchange(to, &message).await?
                }
                Event::Directory(offer) => match self.times(&offer, to).await? {
                    None => {
                        let (name, mode) = (&offer.name, offer.mode);
                        self.source.directory(name, mode, &mut message).map_err(misused)?;
                        self.exchange(to, &message).await?
                    }
                    refused => refused,
                },
                Event::DirectoryEnd => {
                    self.source.directory_end(&mut message).map_err(misused)?;
                    self.exchange(to, &message).await?
                }
            };
            match refused {
                None => sink.accept(out),
                Some(text) => {
                    self.told(&text);
                    sink.refuse(&text, out);
                }
            }
        }
        Ok(())
    }

    async fn times(&mut self, offer: &Offer, to: &mut Wire) -> Result<Option<String>> {
        let Some(times) = offer.times else { return Ok(None) };
        let mut message = Vec::new();
        self.source.times(times, &mut message).map_err(misused)?;
        self.exchange(to, &message).await
    }

    /// Sends, and waits for the reply: nothing, or what went wrong there.
    async fn exchange(&mut self, to: &mut Wire, message: &[u8]) -> Result<Option<String>> {
        to.write(message).await?;
        self.reply(to).await
    }

    async fn reply(&mut self, to: &mut Wire) -> Result<Option<String>> {
        loop {
            let input = to.read().await?;
            if input.is_empty() {
                return Err(Failure::new("the receiving side has ended"));
            }
            let mut rest = input;
            let reply = self.source.receive(&mut rest);
            let taken = input.len().saturating_sub(rest.len());
            to.take(taken);
            match reply.map_err(|error| explain(&error))? {
                Some(Reply::Go) => return Ok(None),
                Some(Reply::Trouble(text)) => return Ok(Some(text.raw().to_owned())),
                None => {}
            }
        }
    }

    fn told(&mut self, text: &str) {
        self.complete = false;
        say!(Error, "{}", show(text.as_bytes()));
    }
}

fn misused(why: Misuse) -> Failure {
    Failure::new(format_args!("the other side cannot be told: {why}"))
}
