//! iceoryx2's request and response.

use iceoryx2::prelude::*;

use super::iceoryx::{Ipc, node};
use crate::Result;
use crate::pair::{Sides, Turn};
use crate::subject::unique;

/// A client that asks, and a server that answers with what it was asked; both poll.
pub(crate) fn calls() -> Result<Sides> {
    type Factory = iceoryx2::service::port_factory::request_response::PortFactory<Ipc, u64, (), u64, ()>;
    fn open(name: &ServiceName) -> Result<Factory> {
        let node = node()?;
        let service = node.service_builder(name).request_response::<u64, u64>();
        Ok(service.max_clients(1).max_servers(1).open_or_create()?)
    }
    let name = ServiceName::new(&unique("request"))?;
    let far = name;
    Ok(Sides::both(
        move || {
            let client = open(&name)?.client_builder().create()?;
            let mut count = 0;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    count += 1;
                    let request = client.loan_uninit().expect("loan").write_payload(count);
                    let pending = request.send().expect("send");
                    let response = loop {
                        if let Some(response) = pending.receive().expect("receive") {
                            break response;
                        }
                    };
                    assert_eq!(*response, count, "another answer came back");
                })
            })
        },
        move || {
            let server = open(&far)?.server_builder().create()?;
            Ok(move |turn: &Turn| {
                turn.repeat(|| {
                    let request = loop {
                        if let Some(request) = server.receive().expect("receive") {
                            break request;
                        }
                    };
                    let response = request.loan_uninit().expect("loan").write_payload(*request);
                    response.send().expect("send");
                })
            })
        },
    ))
}
