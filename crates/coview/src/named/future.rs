//! Having an object in an async function.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use super::Handle;
use crate::error::Result;
use crate::explain::explain;
use crate::sys::watch::Watch;

/// Waits until the event or the semaphore can be had, and has it. Dropped before, it takes nothing with it.
pub(super) fn take(handle: &Handle) -> impl Future<Output = Result<()>> + Send + Sync + use<> {
    let (object, name) = (Arc::clone(&handle.object), handle.to_string());
    async move {
        let failed = |error| explain("wait for", &name, error);
        let watch = Watch::new(object).map_err(failed)?;
        poll_fn(|context| match watch.poll_take(context.waker()) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(failed(error))),
        })
        .await
    }
}
