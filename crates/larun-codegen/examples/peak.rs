use larun_codegen::*;
fn main() {
    for path in std::env::args().skip(1) {
        let model = std::fs::read(&path).unwrap();
        for processor in [Processor::Portable, Processor::Armv7em] {
            let mut line = format!("{path} {processor:?}");
            for (in_place, stream) in [(false, Stream::Never), (true, Stream::Never), (false, Stream::Always), (true, Stream::Always)] {
                let mut o = RustOptions::default();
                o.processor = processor;
                o.rows = Rows { in_place, stream };
                let t = std::time::Instant::now();
                match rust("m", &model, &o) {
                    Ok(s) => {
                        let a = s.lines().find(|l| l.contains("pub const ACTIVATION_BYTES")).unwrap().to_owned();
                        let a = a.split("= ").nth(1).unwrap();
                        line += &format!(" {a} ({} ms)", t.elapsed().as_millis());
                        if std::env::var("V").is_ok() { for l in s.lines().filter(|l| l.contains("row by row")) { println!("   {l}"); } }
                    }
                    Err(e) => line += &format!(" {e}"),
                }
            }
            println!("{line}");
        }
    }
}
