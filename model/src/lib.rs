//! wattle-model
