//! A client of any gRPC method, and what of Jaeger's messages the tests read.

use bytes::{Buf, BufMut};
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

/// Calls a method; gives the messages of its answer.
pub async fn call(address: &str, method: &str, message: Vec<u8>) -> Result<Vec<Vec<u8>>, Status> {
    let channel = tonic::transport::Channel::from_shared(format!("http://{address}")).expect("an address");
    let channel = channel.connect().await.expect("connects");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("ready");
    let path = format!("/{method}").parse().expect("a path");
    let mut answer = client.server_streaming(Request::new(message), path, Plain).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = answer.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
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
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut plain = vec![0; message.remaining()];
        message.copy_to_slice(&mut plain);
        Ok(Some(plain))
    }
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Wanted {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Find {
    #[prost(message, optional, tag = "1")]
    pub query: Option<Query>,
}

/// `TraceQueryParameters`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Query {
    #[prost(string, tag = "1")]
    pub service_name: String,
    #[prost(string, tag = "2")]
    pub operation_name: String,
    #[prost(map = "string, string", tag = "3")]
    pub tags: std::collections::HashMap<String, String>,
    #[prost(message, optional, tag = "4")]
    pub start_time_min: Option<Seconds>,
    #[prost(message, optional, tag = "5")]
    pub start_time_max: Option<Seconds>,
    #[prost(message, optional, tag = "6")]
    pub duration_min: Option<Seconds>,
    #[prost(message, optional, tag = "7")]
    pub duration_max: Option<Seconds>,
    #[prost(int32, tag = "8")]
    pub search_depth: i32,
}

/// `google.protobuf.Timestamp` and `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Seconds {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Seconds {
    pub fn of(nanos: u64) -> Self {
        let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        Self { seconds: seconds.try_into().expect("in range"), nanos: nanos.try_into().expect("below a second") }
    }
}

/// `GetOperationsResponse`: the names alone.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Operations {
    #[prost(string, repeated, tag = "1")]
    pub names: Vec<String>,
}

/// `GetDependenciesRequest`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Dependencies {
    #[prost(message, optional, tag = "1")]
    pub start: Option<Seconds>,
    #[prost(message, optional, tag = "2")]
    pub end: Option<Seconds>,
}

/// `GetDependenciesResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Links {
    #[prost(message, repeated, tag = "1")]
    pub links: Vec<Link>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Link {
    #[prost(string, tag = "1")]
    pub parent: String,
    #[prost(string, tag = "2")]
    pub child: String,
    #[prost(uint64, tag = "3")]
    pub count: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Chunk {
    #[prost(message, repeated, tag = "1")]
    pub spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Span {
    #[prost(bytes = "vec", tag = "1")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub span_id: Vec<u8>,
    #[prost(string, tag = "3")]
    pub operation_name: String,
    #[prost(message, optional, tag = "10")]
    pub process: Option<Process>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Process {
    #[prost(string, tag = "1")]
    pub service_name: String,
}
