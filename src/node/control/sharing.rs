//! A command's side of what the running node offers for it.

use std::path::PathBuf;

use quinn::{RecvStream, SendStream};

use super::Remote;
use super::request::{Request, Told, Word};
use crate::io::net::frames;
use crate::logic::uploads::Uploads;
use crate::node::error::{ControlError, Error};
use crate::node::inner::shares::{Offered, ShareWish};
use crate::node::types::Event;
use crate::wire::limits::PAGE;

/// What the running node offers for a command until this is dropped or ended; for good, if that was wanted.
#[derive(Debug)]
pub struct Sharing<'r> {
    remote: &'r Remote,
    to: SendStream,
    from: RecvStream,
}

/// What is told of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// What the node reports of it.
    Event(Event),
    /// What is being fetched of it, and what was.
    Uploads(Uploads),
}

impl Remote {
    /// Has it offer something; what became of that.
    ///
    /// # Errors
    /// When it cannot be offered, or the node has ended.
    pub async fn share(&self, wish: ShareWish) -> Result<(Offered, Sharing<'_>), Error> {
        self.follow_offers(Request::Share(Box::new(wish))).await
    }

    /// Has it tell what is fetched of what it offers from these whole paths.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn watch(&self, paths: Vec<PathBuf>) -> Result<(Offered, Sharing<'_>), Error> {
        self.follow_offers(Request::Watch(paths)).await
    }

    async fn follow_offers(&self, request: Request) -> Result<(Offered, Sharing<'_>), Error> {
        let (to, mut from) = self.begin(&request).await?;
        match self.next(&mut from).await? {
            Told::Answer(len) => {
                let offered = self.answer::<Result<Offered, Error>>(&mut from, len).await??;
                Ok((offered, Sharing { remote: self, to, from }))
            }
            other => Err(ControlError::Protocol(format!("{other:?}")).into()),
        }
    }
}

impl Sharing<'_> {
    /// What is told next; none once nothing of it is offered any more.
    ///
    /// # Errors
    /// When the node has ended.
    pub async fn next(&mut self) -> Result<Option<Heard>, Error> {
        loop {
            match self.remote.next(&mut self.from).await? {
                Told::Event(event) => return Ok(Some(Heard::Event(event))),
                Told::Uploads(uploads) => return Ok(Some(Heard::Uploads(*uploads))),
                Told::Left => return Ok(None),
                _ => {}
            }
        }
    }

    /// Has it offered no longer: when this is done nobody gets it.
    pub async fn end(mut self) {
        // With a node that is gone it is offered no longer.
        if frames::send(&mut self.to, &Word::Cancel, PAGE).await.is_err() {
            return;
        }
        while !matches!(self.remote.next(&mut self.from).await, Ok(Told::Left) | Err(_)) {}
    }
}
