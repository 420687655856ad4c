//! ureq's agents, one for each route: to servers directly, and through each proxy. An agent has the kept
//! connections of its route.

use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::{Agent, Proxy};

use super::connection::KEPT_IDLE;
use super::connector::Common;
use crate::api::url::MAX_LINE;
use crate::host::locks::{Mutex, lock};

/// Of a reply's head: as much as Node's servers and clients take.
const MOST_HEAD_BYTES: usize = 16 * 1024;
/// A kept connection keeps its buffers, with TLS those of the socket and those above it: 66 KiB. More than a head, so
/// that one which is too long is seen to be; a record of TLS fits in, so that it is read at once.
const INPUT_BYTES: usize = 17 * 1024;

pub struct Agents {
    common: Common,
    tls: TlsConfig,
    max_idle: usize,
    by_route: Mutex<Vec<(Option<Proxy>, Agent)>>,
}

impl Agents {
    pub fn new(tls: TlsConfig, max_idle: usize) -> Self {
        Self {
            common: Common::default(),
            tls,
            max_idle,
            by_route: Mutex::default(),
        }
    }

    pub fn through(&self, proxy: Option<&Proxy>) -> Agent {
        let mut agents = lock(&self.by_route);
        if let Some((_, agent)) = agents.iter().find(|(route, _)| route.as_ref() == proxy) {
            return agent.clone();
        }
        let agent = self.agent(proxy.cloned());
        agents.push((proxy.cloned(), agent.clone()));
        agent
    }

    /// With the agents go their connections; those in use are not kept afterwards.
    pub fn close_idle(&self) {
        let agents = std::mem::take(&mut *lock(&self.by_route));
        drop(agents);
    }

    /// A kept connection to this server failed: those that are idle by now are used no more.
    pub fn distrust(&self, server: &Uri) {
        self.common.distrust.add(server);
    }

    fn agent(&self, proxy: Option<Proxy>) -> Agent {
        // No timeouts: the socket keeps them all. No headers of ureq's, but for the one that declines
        // compression.
        let config = Agent::config_builder()
            .proxy(proxy)
            .tls_config(self.tls.clone())
            .user_agent("")
            .accept("")
            .accept_encoding("identity")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(MOST_HEAD_BYTES)
            .input_buffer_size(INPUT_BYTES)
            .output_buffer_size(MAX_LINE)
            .max_idle_connections(self.max_idle)
            .max_idle_connections_per_host(self.max_idle)
            .max_idle_age(KEPT_IDLE)
            .build();
        self.common.agent(config)
    }
}
