//! wattle-proxy
