//! The tensors of a file, of which none may be left over.

use std::cell::RefCell;
use std::collections::HashSet;

use andon_kernels::matrix::Matrix;

use crate::block;
use crate::error::{LoadError, unsupported};
use crate::gguf::{Gguf, Tensor};

/// The tensors of a file and which of them were taken: what is left over is
/// something that would be missing in what is computed.
pub(crate) struct Source<'g, 'a> {
    gguf: &'g Gguf<'a>,
    taken: RefCell<HashSet<String>>,
}

impl<'g, 'a> Source<'g, 'a> {
    pub(crate) fn new(gguf: &'g Gguf<'a>) -> Self {
        Self {
            gguf,
            taken: RefCell::default(),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.gguf.has_tensor(&format!("{name}.weight"))
    }

    fn tensor(&self, name: &str, rows: usize, columns: usize) -> Result<&Tensor<'a>, LoadError> {
        let tensor = self.gguf.tensor(name, rows, columns)?;
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(tensor)
    }

    /// The numbers of a norm or of factors.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(&format!("{name}.weight"), 1, length)?;
        Ok(block::floats(tensor))
    }

    /// The addends of a norm.
    pub(crate) fn bias(&self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(&format!("{name}.bias"), 1, length)?;
        Ok(block::floats(tensor))
    }

    /// A table of `rows` vectors as floats.
    pub(crate) fn table(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(&format!("{name}.weight"), rows, columns)?;
        Ok(block::floats(tensor))
    }

    /// A matrix of `rows` outputs, with its bias where it has one.
    pub(crate) fn matrix(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Matrix, LoadError> {
        let mut matrices = self.stack(&[(name.to_owned(), rows)], columns)?;
        Ok(matrices.remove(0))
    }

    /// Matrices over the same inputs, one below the other: one matrix if they are
    /// kept alike.
    pub(crate) fn stack(
        &self,
        parts: &[(String, usize)],
        columns: usize,
    ) -> Result<Vec<Matrix>, LoadError> {
        let weights = parts
            .iter()
            .map(|(name, rows)| self.tensor(&format!("{name}.weight"), *rows, columns))
            .collect::<Result<Vec<_>, _>>()?;
        let matrices = block::stack(&weights);
        let mut biases = Vec::new();
        let mut has_bias = false;
        for (name, rows) in parts {
            let name = format!("{name}.bias");
            if self.gguf.has_tensor(&name) {
                biases.extend(block::floats(self.tensor(&name, 1, *rows)?));
                has_bias = true;
            } else {
                biases.resize(biases.len() + rows, 0.0);
            }
        }
        if !has_bias {
            return Ok(matrices);
        }
        let with_bias = |matrix: Matrix| {
            let rest = biases.split_off(matrix.rows());
            matrix.with_bias(std::mem::replace(&mut biases, rest))
        };
        Ok(matrices.into_iter().map(with_bias).collect())
    }

    /// Makes sure that nothing is left over.
    pub(crate) fn finish(self) -> Result<(), LoadError> {
        let taken = self.taken.into_inner();
        let left = self
            .gguf
            .tensor_names()
            .filter(|&name| !taken.contains(name));
        match left.min() {
            None => Ok(()),
            Some(name) => Err(unsupported!(
                "the tensor '{name}', which models of this architecture are not known to have"
            )),
        }
    }
}
