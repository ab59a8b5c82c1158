//! Windows from captured and made-up samples.
