//! The scheduler from outside: its laws, its wire, its followers.

mod burst;
mod caps;
mod captured;
mod doctor;
mod drift;
mod faults;
mod follow;
mod followup;
mod garbage;
mod http;
mod kubernetes;
mod laws;
mod tls;
mod toy;
mod world;
