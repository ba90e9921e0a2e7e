//! Which instructions this processor has.

use std::fmt;

/// A form of the kernels that this processor can run. A value is proof: there
/// is no way to make one for instructions that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(crate) Form);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Scalar,
}

impl Isa {
    /// The fastest form.
    pub fn detect() -> Self {
        Self::supported()[0]
    }

    /// The plain form, which every processor runs.
    pub fn scalar() -> Self {
        Self(Form::Scalar)
    }

    /// Every form that this processor runs, fastest first; the last is scalar.
    pub fn supported() -> Vec<Self> {
        let mut forms = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni");
            if has_avx2 && has_avx512 {
                forms.push(Self(Form::Avx512));
            }
            if has_avx2 && is_x86_feature_detected!("avxvnni") {
                forms.push(Self(Form::AvxVnni));
            }
            if has_avx2 {
                forms.push(Self(Form::Avx2));
            }
        }
        forms.push(Self(Form::Scalar));
        forms
    }

    /// The name under which people know it.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            Form::AvxVnni => "AVX-VNNI",
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => "AVX2",
            Form::Scalar => "scalar",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes a function that runs `$generic::<L>` with the lanes of `isa`, compiled
/// for the instructions that those lanes need.
macro_rules! dispatch {
    ($(#[$meta:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $generic:ident) => {
        $(#[$meta])*
        unsafe fn $name(isa: $crate::isa::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's contract is passed on.
                unsafe { $generic::<$crate::lanes::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's contract is passed on.
                unsafe { $generic::<$crate::lanes::Avx2>($($arg),*) }
            }
            match isa.0 {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Isa` exists only where its instructions do.
                $crate::isa::Form::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above; floats have no more of it than AVX2.
                $crate::isa::Form::AvxVnni | $crate::isa::Form::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: the caller's contract is passed on.
                $crate::isa::Form::Scalar => unsafe { $generic::<$crate::lanes::Scalar>($($arg),*) },
            }
        }
    };
}
pub(crate) use dispatch;
