//! wattle-mesh-config
