//! All tests of whole programs and of parity with reference libraries. They are one binary, which is linked once.

mod architectures;
mod bad_files;
mod commands;
mod devices;
mod faults;
mod new_models;
mod outputs;
mod parity;
mod real;
mod runs;
mod searches;
mod students;
mod tiny;
mod training;
mod walk;
mod worker;
