//! See the module above.

super::unwritten! {
    If
    While
    CallOnce
    VarHandle
    ReadVariable
    AssignVariable
}
