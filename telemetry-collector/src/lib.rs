//! wattle-collector
