//! gRPC over bytes: methods take and give encoded messages, so that what is stored as it came is not encoded again.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EnabledCompressionEncodings, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

/// Encoded messages of an answer: one, or those of a stream.
pub(crate) type Answer = Vec<Vec<u8>>;

/// The methods of one service.
pub(crate) trait Methods: Clone + Send + Sync + 'static {
    /// Full name of the service.
    const NAME: &'static str;

    /// Answers a call of a method.
    fn call(&self, method: &str, message: Bytes) -> BoxFuture<'static, Result<Answer, Status>>;
}

/// Methods as a service that tonic serves.
#[derive(Clone)]
pub(crate) struct Service<M> {
    methods: M,
    /// Largest message accepted, unpacked.
    limit: usize,
}

impl<M> Service<M> {
    pub(crate) const fn new(methods: M, limit: usize) -> Self {
        Self { methods, limit }
    }
}

impl<M: Methods> NamedService for Service<M> {
    const NAME: &'static str = M::NAME;
}

impl<M: Methods> tower::Service<http::Request<tonic::body::Body>> for Service<M> {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let called = Called { methods: self.methods.clone(), method };
        let mut accepted = EnabledCompressionEncodings::default();
        accepted.enable(CompressionEncoding::Gzip);
        let mut grpc = Grpc::new(Plain)
            .apply_compression_config(accepted, EnabledCompressionEncodings::default())
            .apply_max_message_size_config(Some(self.limit), None);
        // A stream of one message is what a single answer is on the wire.
        Box::pin(async move { Ok(grpc.server_streaming(called, request).await) })
    }
}

struct Called<M> {
    methods: M,
    method: String,
}

type Messages = tokio_stream::Iter<std::vec::IntoIter<Result<Vec<u8>, Status>>>;

impl<M: Methods> ServerStreamingService<Bytes> for Called<M> {
    type Response = Vec<u8>;
    type ResponseStream = Messages;
    type Future = BoxFuture<'static, Result<Response<Messages>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let answer = self.methods.call(&self.method, request.into_inner());
        Box::pin(async move {
            let messages: Vec<Result<Vec<u8>, Status>> = answer.await?.into_iter().map(Ok).collect();
            Ok(Response::new(tokio_stream::iter(messages)))
        })
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Debug, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

/// Serves until told to stop.
pub(crate) async fn serve(routes: tonic::service::Routes, listener: TcpListener, shutdown: CancellationToken) {
    let served = tonic::transport::Server::builder()
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.cancelled())
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "a gRPC listener ended");
    }
}
