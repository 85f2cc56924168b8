//! The wire: protocol buffers, generated code, conversions.
