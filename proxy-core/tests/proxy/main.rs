//! The data plane over real sockets: one program, so that it is linked once.

mod kit;
mod table;

mod affinity;
mod drain;
mod faults;
mod limits;
mod malformed;
mod observed;
mod outlier;
mod outputs;
mod policy;
mod protocols;
mod records;
mod reload;
mod responses;
mod routing;
mod tls;
mod tries;
