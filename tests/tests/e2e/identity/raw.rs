//! Bytes that are sent as a message, whatever they are.

use prost::bytes::BufMut as _;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;
use tonic::{Request, Status};

/// A codec of bytes as they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

/// Sends `bytes` as a command; how it was refused.
#[track_caller]
pub(super) fn act(endpoint: &Endpoint, bytes: Vec<u8>) -> Status {
    let sent = block_on(async {
        let mut grpc = Grpc::new(endpoint.connect_lazy());
        grpc.ready().await.expect("a connection");
        let path = PathAndQuery::from_static("/molt.v1.Coordinator/Act");
        grpc.unary(Request::new(bytes), path, Raw).await
    });
    sent.map(drop).expect_err("a refusal")
}

/// Runs a call to its end.
pub(super) fn block_on<T>(call: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(call)
}
