//! See the module above.

super::unwritten! {
    SignalDelay
    SignalEnergy
    SignalFftAutoScale
    SignalFilterBank
    SignalFilterBankLog
    SignalFilterBankSpectralSubtraction
    SignalFilterBankSquareRoot
    SignalFramer
    SignalIrfft
    SignalOverlapAdd
    SignalPcan
    SignalRfft
    SignalStacker
    SignalWindow
}
