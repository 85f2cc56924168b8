//! Bugs that a test can switch on, to prove that the checks would see them.
//!
//! Each crate names its own bugs, as an enum, and asks [`is_on`] at the place where one could be
//! seeded. Without the feature `seeded-bugs` there is no switch, and every such place compiles to
//! the sound rule. Not here: the bugs themselves, and the checks.

#[cfg(feature = "seeded-bugs")]
mod switch {
    use std::any::Any;
    use std::cell::RefCell;

    thread_local! {
        static ON: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    }

    /// Runs `run` on this thread with a bug switched on, and no other.
    pub fn with<B: 'static, T>(bug: B, run: impl FnOnce() -> T) -> T {
        struct Off;
        impl Drop for Off {
            fn drop(&mut self) {
                ON.set(None);
            }
        }
        let _off = Off;
        ON.set(Some(Box::new(bug)));
        run()
    }

    /// Whether a bug is switched on on this thread.
    pub fn is_on<B: Copy + PartialEq + 'static>(bug: B) -> bool {
        ON.with_borrow(|on| on.as_ref().and_then(|on| on.downcast_ref()) == Some(&bug))
    }
}

#[cfg(not(feature = "seeded-bugs"))]
mod switch {
    /// Never: there is no switch.
    pub fn is_on<B>(_: B) -> bool {
        false
    }
}

pub use self::switch::*;

#[cfg(all(test, feature = "seeded-bugs"))]
mod tests {
    use super::*;

    #[derive(PartialEq)]
    enum Bug {
        One,
        Other,
    }

    #[derive(PartialEq)]
    enum Elsewhere {
        One,
    }

    #[test]
    fn one_bug_is_on_at_a_time_and_only_meanwhile() {
        assert!(!is_on(Bug::One));
        with(Bug::One, || {
            assert!(is_on(Bug::One) && !is_on(Bug::Other) && !is_on(Elsewhere::One));
            std::thread::spawn(|| assert!(!is_on(Bug::One), "other threads are sound"))
                .join()
                .unwrap();
        });
        assert!(!is_on(Bug::One));
        let broken = std::panic::catch_unwind(|| with(Bug::One, || panic!("the check saw it")));
        assert!(broken.is_err() && !is_on(Bug::One), "a panic switches it off too");
    }
}
