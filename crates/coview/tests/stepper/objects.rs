//! Everything that can be made, used and removed, each as one operation by name.

use std::any::Any;

use coview::frames::{Frames, FramesOptions, Policy};
use coview::latest::Latest;
use coview::queue::{Queue, QueueOptions};
use coview::ring::Ring;
use coview::service::{Service, ServiceOptions};
use coview::{Access, Event, Mapping, MappingOptions, Mutex, Region, Result, Semaphore, View};

/// What is done, what others hold meanwhile, and doing it. At its end nothing of it is left.
pub(crate) struct Operation {
    pub(crate) what: &'static str,
    pub(crate) held: fn(&str) -> Box<dyn Any>,
    pub(crate) run: fn(&str) -> Result<()>,
}

const fn alone(what: &'static str, run: fn(&str) -> Result<()>) -> Operation {
    Operation { what, held: |_| Box::new(()), run }
}

const fn beside(what: &'static str, held: fn(&str) -> Box<dyn Any>, run: fn(&str) -> Result<()>) -> Operation {
    Operation { what, held, run }
}

/// Begins as zeros and can be used from end to end.
fn try_out(view: &View) -> Result<()> {
    for at in [0, view.len() - 1] {
        let mut byte = [1];
        view.read(at, &mut byte)?;
        assert_eq!(byte, [0], "it is new");
        view.write(at, b"x")?;
    }
    Ok(())
}

fn try_out_all(mapping: &Mapping) -> Result<()> {
    try_out(&mapping.view(Access::ReadWrite)?)
}

fn file_of(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(name).join("file")
}

fn frames() -> FramesOptions {
    FramesOptions::new().slot(256).budget(1024)
}

fn publish(frames: &Frames<[u8]>) -> Result<()> {
    let (publisher, subscriber) = (frames.publisher()?, frames.subscriber(Policy::NewestOnly)?);
    let mut loan = publisher.loan(200)?;
    loan.fill(7);
    loan.publish()?;
    assert_eq!(subscriber.try_receive()?.as_deref(), Some(&[7; 200][..]));
    Ok(())
}

fn pass(queue: &Queue<[u8]>) -> Result<()> {
    let (producer, consumer) = (queue.producer()?, queue.consumer()?);
    let mut loan = producer.loan(200)?;
    loan.fill(7);
    loan.send()?;
    while let Some(task) = consumer.try_receive()? {
        assert_eq!(&*task, &[7; 200]);
        task.done();
    }
    Ok(())
}

fn ask(service: &Service<[u8], [u8]>) -> Result<()> {
    let (client, server) = (service.client()?, service.server()?);
    let pending = client.send(&[7; 200])?;
    while let Some(request) = server.try_receive()? {
        request.respond(&[8; 200])?;
    }
    assert_eq!(&*pending.receive()?, &[8; 200]);
    Ok(())
}

fn send(ring: &Ring) -> Result<()> {
    ring.sender()?.send(&[7; 72])?;
    assert_eq!(ring.receiver()?.drain(|record| assert_eq!(record, [7; 72]))?, 1);
    Ok(())
}

fn set(latest: &Latest<[u64; 9]>) -> Result<()> {
    latest.writer()?.set(&[7; 9])?;
    assert_eq!(latest.reader().read()?, Some([7; 9]));
    Ok(())
}

pub(crate) const OPERATIONS: &[Operation] = &[
    alone("mapping: create, use, close", |name| try_out_all(&Mapping::create(name, 10_000)?)),
    alone("mapping: create, keep a view alone", |name| {
        let view = Mapping::create(&format!(r"Global\{name}"), 4096)?.view(Access::ReadWrite)?;
        try_out(&view)
    }),
    alone("mapping: create exact", |name| try_out_all(&MappingOptions::new().size(77).exact(true).create(name)?)),
    alone("mapping: reserve, commit", |name| {
        let mapping = MappingOptions::new().size(1 << 20).reserve(true).create(name)?;
        mapping.commit(4096, 4096)?;
        try_out(&mapping.view_range(Access::ReadWrite, 4096..8192)?)
    }),
    alone("mapping: create without a name", |_| try_out_all(&MappingOptions::new().size(4096).create_unnamed()?)),
    beside(
        "mapping: create on a file",
        |name| {
            Box::new(tempfile::Builder::new().prefix(name).rand_bytes(0).tempdir().expect("there is a place for files"))
        },
        |name| {
            MappingOptions::new().size(4096).file(file_of(name)).create(name)?.view(Access::ReadWrite)?.write(0, b"x")
        },
    ),
    beside(
        "mapping: open, clone, close",
        |name| Box::new(Mapping::create(name, 4096).expect("it can be made")),
        |name| {
            let mapping = Mapping::open(name, Access::ReadWrite)?;
            mapping.try_clone()?.view(Access::ReadWrite)?.write(0, b"x")
        },
    ),
    alone("mutex: create, lock, unlock, close", |name| drop_all(Mutex::create(name)?.lock()?)),
    alone("event: create, set, wait, close", |name| {
        let event = Event::create(name)?;
        event.set()?;
        event.wait()
    }),
    beside(
        "semaphore: open, acquire, release, close",
        |name| Box::new(Semaphore::create(name, 1, 1).expect("it can be made")),
        |name| {
            let permits = Semaphore::open(name)?;
            permits.try_acquire()?;
            permits.release(1).map(drop)
        },
    ),
    alone("region: create, read, close", |name| {
        assert_eq!(Region::create(name, &[7_u64; 9])?.read()?, [7; 9]);
        Ok(())
    }),
    beside(
        "region: open, read, close",
        |name| Box::new(Region::create(name, &[7_u64; 9]).expect("it can be made")),
        |name| {
            assert_eq!(Region::<[u64; 9]>::open(name)?.read()?, [7; 9]);
            Ok(())
        },
    ),
    alone("latest: create, set, read, close", |name| set(&Latest::create(name)?)),
    beside(
        "latest: open, attach, set, leave",
        |name| Box::new(Latest::<[u64; 9]>::create(name).expect("it can be made")),
        |name| set(&Latest::open(name)?),
    ),
    alone("ring: create, send, receive, close", |name| send(&Ring::create(name, 4096)?)),
    beside(
        "ring: open, attach, leave",
        |name| Box::new(Ring::create(name, 4096).expect("it can be made")),
        |name| {
            let ring = Ring::open(name)?;
            let (_sender, _receiver) = (ring.sender()?, ring.receiver()?);
            Ok(())
        },
    ),
    alone("frames: create, publish, receive, close", |name| publish(&frames().create(name)?)),
    beside(
        "frames: open, attach, publish, leave",
        |name| Box::new(frames().create::<[u8]>(name).expect("it can be made")),
        |name| publish(&Frames::open(name)?),
    ),
    alone("queue: create, send, receive, close", |name| {
        pass(&QueueOptions::new().slot(256).budget(1024).create(name)?)
    }),
    beside(
        "queue: open, attach, pass, leave",
        |name| Box::new(QueueOptions::new().slot(256).budget(1024).create::<[u8]>(name).expect("it can be made")),
        |name| pass(&Queue::open(name)?),
    ),
    alone("service: create, ask, answer, close", |name| {
        ask(&ServiceOptions::new().slot(256).budget(2048).create(name)?)
    }),
    beside(
        "service: open, attach, ask, leave",
        |name| {
            let options = ServiceOptions::new().slot(256).budget(2048);
            Box::new(options.create::<[u8], [u8]>(name).expect("it can be made"))
        },
        |name| ask(&Service::open(name)?),
    ),
];

fn drop_all<T>(held: T) -> Result<()> {
    drop(held);
    Ok(())
}
