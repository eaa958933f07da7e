//! The namespace of the stock Admin UI: who comes in, and what it wants.

use std::sync::Arc;

use tidings_core::ConnKey;
use tidings_wire::json::{members, string};
use tidings_wire::socketio::{encode, msgpack};

use super::ShardLoop;
use super::command::AckTo;
use super::entry::refusal_data;
use super::inbox::Mail;
use super::socketio::Admission;
use crate::admin::ui::{AdminUi, NAMESPACE, enter};
use crate::client::Emission;

impl ShardLoop {
    /// Whether a namespace is that of the Admin UI.
    pub(super) fn is_admin_ui(&self, namespace: u8) -> bool {
        self.settings.admin_ui == Some(namespace)
    }

    /// Somebody wants in: the front looks at its password.
    pub(super) fn admin_ui_knocks(&mut self, key: ConnKey, namespace: u8, auth: Option<&str>) {
        let Some(link) = self.links.get(key) else { return };
        if self.settings.admin_apart && !link.at_admin_door {
            // Elsewhere there is no such namespace.
            return self.say(
                key,
                0,
                |out, _| encode::connect_error(out, NAMESPACE, "Invalid namespace", None),
                |out, _| msgpack::encode::connect_error(out, NAMESPACE, "Invalid namespace", None),
            );
        }
        let (shared, inbox, from) = (self.shared.clone(), self.inbox.clone(), link.remote);
        let auth = auth.map(str::to_owned);
        self.shared.front.spawn(async move {
            let emission = match enter(&shared, from, auth.as_deref()).await {
                Ok(entered) => Emission::Admit {
                    admission: Admission {
                        namespace,
                        who: Arc::new(entered.who),
                        offset: false,
                        gaps: false,
                        place: false,
                        auth: None,
                        rooms: Vec::new(),
                        standing: None,
                    },
                    auth: entered.session.map(|id| format!("{{\"sessionId\":\"{id}\"}}")),
                    rooms: Vec::new(),
                },
                Err(refusal) => {
                    let data = Some(refusal_data(&refusal));
                    Emission::Refuse { namespace, message: refusal.message.into(), data }
                }
            };
            inbox.push(Mail::Emit(key, emission));
        });
    }

    /// One is in; `auth` says by which id it can come back, if that is new.
    pub(super) fn admin_ui_entered(&mut self, key: ConnKey, namespace: u8, auth: Option<&str>) {
        let Some(client) = self.client(key, namespace) else { return };
        let mut said = auth.into_iter().flat_map(members);
        let id = said.find(|(name, _)| string(name).as_deref() == Some("sessionId"));
        let id = id.and_then(|(_, value)| string(value));
        let shared = self.shared.clone();
        shared.admin.ui.welcome(&shared, client, id.as_deref());
    }

    /// It wants something done.
    pub(super) fn admin_ui_said(&mut self, key: ConnKey, ack: AckTo, name: &str, args: Vec<String>) {
        let Some(client) = self.client(key, ack.namespace()) else { return };
        if let Err(refusal) = self.take_publish(key, ack, client.who(), None, false) {
            return self.answer_refused(key, ack, name, &refusal);
        }
        let Some(from) = self.links.get(key).map(|link| link.remote) else { return };
        let (shared, name) = (self.shared.clone(), name.to_owned());
        self.shared.front.spawn(async move {
            AdminUi::wish(&shared, client.who(), from, &name, &args).await;
        });
    }
}
