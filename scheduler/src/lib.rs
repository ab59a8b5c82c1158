//! wattle-scheduler
