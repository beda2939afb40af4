//! iceoryx2: events, publish and subscribe, blackboard, each set up as is best for what is measured.

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use std::os::unix::ffi::OsStrExt;

use super::super::subject::unique;
use crate::Result;
use crate::bare::unfilled::unfilled;
use crate::keeper;
use crate::link::{Latest, Link, PICTURE, Picture, Pictures, Viewer};
use crate::pair::{Sides, Turn};

pub(super) type Ipc = ipc::Service;

/// Files of ours alone: what other programs of the user left or do is none of our business, nor ours of theirs.
pub(super) fn node() -> Result<Node<Ipc>> {
    let mut config = Config::default();
    config.global.prefix = FileName::new(keeper::mark().as_bytes())?;
    config.global.set_root_path(&Path::new(keeper::folder().as_os_str().as_bytes())?);
    // Ctrl-C ends a benchmark; it does not interrupt a wait.
    let builder = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
    Ok(builder.config(&config).create::<Ipc>()?)
}

fn notifier(name: &ServiceName) -> Result<Notifier<Ipc>> {
    Ok(node()?.service_builder(name).event().open_or_create()?.notifier_builder().create()?)
}

fn listener(name: &ServiceName) -> Result<Listener<Ipc>> {
    Ok(node()?.service_builder(name).event().open_or_create()?.listener_builder().create()?)
}

fn wait(listener: &Listener<Ipc>) {
    while listener.blocking_wait(|_| ()).expect("blocking_wait") == 0 {}
}

/// An event service: the receiver sleeps until it is notified.
#[derive(Clone)]
pub(crate) struct Event(ServiceName);

impl Event {
    pub(crate) fn new() -> Result<Event> {
        Ok(Event(ServiceName::new(&unique("event"))?))
    }
}

impl Link<0> for Event {
    fn sender(self) -> Result<impl FnMut(&[u64; 0]) + 'static> {
        let notifier = notifier(&self.0)?;
        Ok(move |_: &[u64; 0]| assert_eq!(notifier.notify().expect("notify"), 1, "listeners"))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; 0] + 'static> {
        let listener = listener(&self.0)?;
        Ok(move || {
            wait(&listener);
            []
        })
    }
}

/// A publish-subscribe service of one publisher and one subscriber, which polls.
#[derive(Clone)]
pub(crate) struct PubSub {
    name: ServiceName,
    /// How many messages may be under way.
    buffer: usize,
}

impl PubSub {
    pub(crate) fn new(buffer: usize) -> Result<PubSub> {
        Ok(PubSub { name: ServiceName::new(&unique("pubsub"))?, buffer })
    }

    fn publisher<const N: usize>(&self) -> Result<Publisher<Ipc, [u64; N], ()>> {
        let node = node()?;
        let service = node.service_builder(&self.name).publish_subscribe::<[u64; N]>();
        // Without overflow, or messages would be lost.
        let service = service.enable_safe_overflow(false).subscriber_max_buffer_size(self.buffer).history_size(0);
        let service = service.max_publishers(1).max_subscribers(1).open_or_create()?;
        Ok(service.publisher_builder().backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create()?)
    }

    fn subscriber<const N: usize>(&self) -> Result<Subscriber<Ipc, [u64; N], ()>> {
        let node = node()?;
        let service = node.service_builder(&self.name).publish_subscribe::<[u64; N]>();
        let service = service.enable_safe_overflow(false).subscriber_max_buffer_size(self.buffer).history_size(0);
        let service = service.max_publishers(1).max_subscribers(1).open_or_create()?;
        Ok(service.subscriber_builder().buffer_size(self.buffer).create()?)
    }
}

fn publish<const N: usize>(publisher: &Publisher<Ipc, [u64; N], ()>, message: &[u64; N]) {
    let sample = publisher.loan_uninit().expect("loan").write_payload(*message);
    assert_eq!(sample.send().expect("send"), 1, "subscribers");
}

impl<const N: usize> Link<N> for PubSub {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let publisher = self.publisher()?;
        Ok(move |message: &[u64; N]| publish(&publisher, message))
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let subscriber = self.subscriber()?;
        Ok(move || {
            loop {
                if let Some(sample) = subscriber.receive().expect("receive") {
                    return *sample;
                }
            }
        })
    }
}

/// Publish-subscribe of slices of 3 MiB, the subscriber polling.
#[derive(Clone)]
pub(crate) struct Slices(ServiceName);

impl Slices {
    pub(crate) fn new() -> Result<Slices> {
        Ok(Slices(ServiceName::new(&unique("slices"))?))
    }
}

impl Pictures for Slices {
    fn sender(self) -> Result<impl FnMut(Picture<'_>) + 'static> {
        let node = node()?;
        let service = node.service_builder(&self.0).publish_subscribe::<[u64]>().max_publishers(1).max_subscribers(1);
        let service = service.open_or_create()?;
        let publisher = service.publisher_builder().initial_max_slice_len(PICTURE / 8).create()?;
        Ok(move |picture: Picture<'_>| {
            let loan = publisher.loan_slice_uninit(PICTURE / 8).expect("loan");
            let sample = match picture {
                Picture::Untouched(word) => unfilled(loan, word),
                Picture::Whole(words) => loan.write_from_slice(words),
            };
            assert_eq!(sample.send().expect("send"), 1, "subscribers");
        })
    }

    fn receiver(self) -> Result<Viewer> {
        let node = node()?;
        let service = node.service_builder(&self.0).publish_subscribe::<[u64]>().max_publishers(1).max_subscribers(1);
        let subscriber = service.open_or_create()?.subscriber_builder().create()?;
        Ok(Box::new(move |read| {
            loop {
                if let Some(sample) = subscriber.receive().expect("receive") {
                    return read(&sample);
                }
            }
        }))
    }
}

/// One process publishes 64 bytes, and its subscribers take it.
pub(crate) fn fan_of(subscribers: usize) -> Result<Sides> {
    let name = ServiceName::new(&unique("fan"))?;
    Ok(Sides::alone(move || {
        let node = node()?;
        let service = node.service_builder(&name).publish_subscribe::<[u64; 8]>().max_subscribers(subscribers);
        let service = service.max_publishers(1).open_or_create()?;
        let publisher = service.publisher_builder().create()?;
        let builders = (0..subscribers).map(|_| service.subscriber_builder().create());
        let ends = builders.collect::<std::result::Result<Vec<_>, _>>()?;
        let mut count = 0;
        Ok(move |turn: &Turn| {
            turn.repeat(|| {
                count += 1;
                let sample = publisher.loan_uninit().expect("loan").write_payload([count; 8]);
                assert_eq!(sample.send().expect("send"), ends.len());
                for end in &ends {
                    assert_eq!(end.receive().expect("receive").map(|sample| sample[7]), Some(count));
                }
            })
        })
    }))
}

/// Sets everything up for one publisher and one subscriber of 64 bytes, and takes it down.
pub(crate) fn set_up() -> Result<impl FnMut()> {
    Ok(|| {
        let pubsub = PubSub::new(2).expect("name");
        let node = node().expect("node");
        let service = node.service_builder(&pubsub.name).publish_subscribe::<[u64; 8]>().open_or_create();
        let service = service.expect("service");
        let subscriber = service.subscriber_builder().create().expect("subscriber");
        drop((service.publisher_builder().create().expect("publisher"), subscriber));
    })
}

/// Publish-subscribe for the data and an event to wake the receiver, as their manual has it.
#[derive(Clone)]
pub(crate) struct Waking {
    data: PubSub,
    event: Event,
}

impl Waking {
    pub(crate) fn new() -> Result<Waking> {
        Ok(Waking { data: PubSub::new(2)?, event: Event::new()? })
    }
}

impl<const N: usize> Link<N> for Waking {
    fn sender(self) -> Result<impl FnMut(&[u64; N]) + 'static> {
        let (publisher, notifier) = (self.data.publisher()?, notifier(&self.event.0)?);
        Ok(move |message: &[u64; N]| {
            publish(&publisher, message);
            assert_eq!(notifier.notify().expect("notify"), 1, "listeners");
        })
    }

    fn receiver(self) -> Result<impl FnMut() -> [u64; N] + 'static> {
        let (subscriber, listener) = (self.data.subscriber()?, listener(&self.event.0)?);
        Ok(move || {
            loop {
                wait(&listener);
                if let Some(sample) = subscriber.receive().expect("receive") {
                    return *sample;
                }
            }
        })
    }
}

/// A blackboard with one entry of 64 bytes.
#[derive(Clone)]
pub(crate) struct Blackboard(ServiceName);

impl Blackboard {
    pub(crate) fn new() -> Result<Blackboard> {
        Ok(Blackboard(ServiceName::new(&unique("blackboard"))?))
    }
}

impl Latest for Blackboard {
    fn reader(self) -> Result<impl FnMut() -> [u64; 8] + 'static> {
        let node = node()?;
        let service = node.service_builder(&self.0).blackboard_creator::<u64>().add::<[u64; 8]>(0, [0; 8]).create()?;
        let entry = service.reader_builder().create()?.entry::<[u64; 8]>(&0)?;
        Ok(move || *entry.get())
    }

    fn writer(self) -> Result<impl FnMut(&[u64; 8]) + 'static> {
        let service = node()?.service_builder(&self.0).blackboard_opener::<u64>().open()?;
        let entry = service.writer_builder().create()?.entry::<[u64; 8]>(&0)?;
        Ok(move |value: &[u64; 8]| entry.update_with_copy(*value))
    }
}
