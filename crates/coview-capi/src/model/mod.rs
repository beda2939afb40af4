//! `coview.h`: the library's own model for C and C++.
