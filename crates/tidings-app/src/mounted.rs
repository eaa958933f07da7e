//! A channel without its types: the only place where they are erased.

use std::time::Duration;

use schemars::SchemaGenerator;
use tidings_core::{Action, Code, Refusal, Room, Rule, Verdict};

use crate::Pending;
use crate::app::RoomKind;
use crate::channel::Channel;
use crate::command::{Command, Requires, parse};
use crate::ctx::{Calling, Ctx, Stage};
use crate::describe::shape::{Shape, shape_of};
use crate::once::Once;
use crate::registry::Call;

/// A channel as the registry sees it.
pub(crate) trait Mounted: Send + Sync {
    fn namespace(&self) -> &'static str;
    fn personal(&self) -> &'static [&'static str];
    fn welcomes(&self) -> bool;
    fn rules(&self) -> &'static [Requires];
    fn kinds(&self) -> Vec<RoomKind>;
    fn shape(&self, generator: &mut SchemaGenerator) -> Shape;
    /// Reads, checks and does a command; the reply as JSON.
    fn handle<'a>(
        &'a self,
        requires: &'a Requires,
        data: &'a str,
        call: Call<'a>,
        calling: &'a mut Calling,
    ) -> Pending<'a, Result<String, Refusal>>;
    fn join<'a>(&'a self, calling: &'a Calling, room: &'a Room) -> Pending<'a, Result<String, Refusal>>;
    fn admit<'a>(
        &'a self,
        calling: &'a Calling,
        room: &'a Room,
        action: Action,
    ) -> Pending<'a, Result<(), Refusal>>;
    fn leave<'a>(&'a self, calling: &'a Calling, room: &'a Room) -> Pending<'a, ()>;
    fn connected<'a>(&'a self, calling: &'a Calling) -> Pending<'a, ()>;
    fn shown<'a>(&'a self, calling: &'a Calling) -> Pending<'a, ()>;
    fn wake(&self, stage: Stage) -> Pending<'_, Option<Duration>>;
}

/// A channel in its place.
pub(crate) struct Seat<C>(pub(crate) C);

impl<C: Channel> Mounted for Seat<C> {
    fn namespace(&self) -> &'static str {
        C::NAMESPACE
    }

    fn personal(&self) -> &'static [&'static str] {
        C::PERSONAL
    }

    fn welcomes(&self) -> bool {
        C::WELCOMES
    }

    fn rules(&self) -> &'static [Requires] {
        C::Command::RULES
    }

    fn kinds(&self) -> Vec<RoomKind> {
        self.0.kinds()
    }

    fn shape(&self, generator: &mut SchemaGenerator) -> Shape {
        shape_of::<C>(generator)
    }

    fn handle<'a>(
        &'a self,
        requires: &'a Requires,
        data: &'a str,
        call: Call<'a>,
        calling: &'a mut Calling,
    ) -> Pending<'a, Result<String, Refusal>> {
        Box::pin(async move {
            let who = calling.caller.who.clone();
            let by_owner = requires.rule == Rule::Owner;
            if !by_owner {
                judge(&requires.rule, &who, None)?;
            } else if who.user.is_none() {
                return Err(Refusal::needs_sign_in());
            }
            let command: C::Command = match parse(requires.name, data) {
                Ok(command) => command,
                Err(refusal) => {
                    let (ctx, said) = (Ctx::new(calling), (requires.name, data));
                    return Err(self.0.misread(ctx, said, refusal).await);
                }
            };
            if by_owner {
                judge(&requires.rule, &who, command.owner())?;
            }
            if let Some(key) = call.key.or(command.key()) {
                calling.once = Some(Once::new(&who, key, [C::NAMESPACE, requires.name, data])?);
            }
            let reply = self.0.handle(Ctx::new(calling), command).await?;
            json(&reply)
        })
    }

    fn join<'a>(&'a self, calling: &'a Calling, room: &'a Room) -> Pending<'a, Result<String, Refusal>> {
        Box::pin(async move { json(&self.0.join(Ctx::new(calling), room).await?) })
    }

    fn admit<'a>(
        &'a self,
        calling: &'a Calling,
        room: &'a Room,
        action: Action,
    ) -> Pending<'a, Result<(), Refusal>> {
        Box::pin(self.0.admit(Ctx::new(calling), room, action))
    }

    fn leave<'a>(&'a self, calling: &'a Calling, room: &'a Room) -> Pending<'a, ()> {
        Box::pin(self.0.leave(Ctx::new(calling), room))
    }

    fn connected<'a>(&'a self, calling: &'a Calling) -> Pending<'a, ()> {
        Box::pin(self.0.connected(Ctx::new(calling)))
    }

    fn shown<'a>(&'a self, calling: &'a Calling) -> Pending<'a, ()> {
        Box::pin(self.0.shown(Ctx::new(calling)))
    }

    fn wake(&self, stage: Stage) -> Pending<'_, Option<Duration>> {
        Box::pin(self.0.wake(stage))
    }
}

/// Whether somebody may say a command.
fn judge(rule: &Rule, who: &tidings_core::Identity, owner: Option<&str>) -> Result<(), Refusal> {
    if rule.judge_owner(who, owner) == Verdict::Yes {
        return Ok(());
    }
    if who.user.is_none() && !who.is_server() && *rule != Rule::Nobody {
        return Err(Refusal::needs_sign_in());
    }
    Err(Refusal::new(Code::Forbidden, &format!("this command is for {}", rule.text())))
}

fn json(value: &impl serde::Serialize) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Refusal::new(Code::Unavailable, "the answer cannot be written")
    })
}
