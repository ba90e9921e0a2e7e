//! The egress policy of a plant, in Cedar.
