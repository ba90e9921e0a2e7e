//! Laws of normalising that need no trained model.
