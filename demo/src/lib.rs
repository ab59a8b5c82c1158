//! wattle-demo
