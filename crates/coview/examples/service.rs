//! Request and response: a server turns pictures into their negatives, in shared memory, until it is killed.

use std::process::Command;

use coview::Result;
use coview::service::{Service, ServiceOptions};

const PICTURE: usize = 1920 * 1080;

fn serve(name: &str) -> Result<()> {
    let server = Service::<[u8], [u8]>::open(name)?.server()?;
    loop {
        let request = server.receive()?;
        let len = request.len();
        let mut reply = request.loan(len)?;
        for at in 0..len {
            reply[at] = 255 - reply.request()[at];
        }
        reply.send();
    }
}

fn main() -> Result<()> {
    if let Some(name) = std::env::args().nth(1) {
        return serve(&name);
    }
    let name = format!("Negative-{}", std::process::id());
    let client = ServiceOptions::new().slot(PICTURE).create::<[u8], [u8]>(&name)?.client()?;

    // It is asked before it is there, and answers when it is.
    let mut picture = client.loan(PICTURE)?;
    picture.fill(55);
    let pending = picture.send()?;
    let program = std::env::current_exe().expect("this program has a path");
    let mut server = Command::new(program).arg(&name).spawn().expect("it can be started again");
    let answers = || {
        println!("a negative: {:?}", &pending.receive()?[..3]);
        println!("another: {:?}", &*client.call(&[1, 2, 3])?);
        Ok(())
    };
    let answered = answers();
    server.kill().and_then(|()| server.wait()).expect("it can be killed");
    println!("without it: {}", client.call(&[4]).unwrap_err().kind().code());
    answered
}
