//! The way to a coordinator.

use std::time::Duration;

use molt_proto::error::Failure;
use molt_proto::v1;
use molt_proto::v1::coordinator_client::CoordinatorClient;
use tonic::transport::{Channel, Endpoint};

use super::CallArgs;
use super::error::Error;

/// Connects, within a bounded time.
pub(super) async fn connect(args: &CallArgs) -> Result<CoordinatorClient<Channel>, Error> {
    let first = args.coordinator.split(',').next().unwrap_or_default().trim();
    let endpoint = Endpoint::from_shared(format!("http://{first}"))
        .map_err(|error| Error::Usage(format!("--coordinator {first}: {error}")))?
        .connect_timeout(Duration::from_secs(2));
    let channel = endpoint.connect().await.map_err(|error| Failure::Unavailable {
        reason: format!("no coordinator answers at {first}: {error}"),
        retry_after: None,
        leader: None,
    })?;
    Ok(CoordinatorClient::new(channel))
}

/// Who runs an operator's verb: the name that the audit keeps.
pub(super) fn operator_name() -> String {
    let name = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    name.ok().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "root".to_owned())
}

/// The same as the caller of a command.
pub(super) fn operator() -> v1::Caller {
    v1::Caller { who: Some(v1::caller::Who::Operator(operator_name())) }
}
