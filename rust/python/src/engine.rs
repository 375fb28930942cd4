//! The engine, and a file watched as the engine would: rows as dictionaries, pictures as bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use edusense_bitstream::{AccessUnit, Codec};
use edusense_decode::{Chain, H264Intra, JpegEighth};
use edusense_motion::{Polygon, Region, Zones};
use edusense_stream as stream;
use edusense_stream::{News, Stage, WatchEvent};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::errors::NativeError;
use crate::heat::{HeatRow, heat_row};
use crate::outside::Outside;
use crate::pyav::PyAv;

type Box4 = (u32, u32, u32, u32);
/// A picture of a clip: bytes, presentation time in 90 kHz ticks, whether decoding can start there, Unix seconds.
type ClipUnit<'py> = (Bound<'py, PyBytes>, i64, bool, f64);
/// Luma, width and height; boxes; width and height to which the boxes belong; time.
type ShotRow<'py> = (Bound<'py, PyBytes>, usize, usize, Vec<Box4>, usize, usize);
/// Codec and bytes of a key picture.
type KeyUnit<'py> = (&'static str, Bound<'py, PyBytes>);
/// Codec, and each picture's bytes.
type GroupRow<'py> = (&'static str, Vec<Bound<'py, PyBytes>>);
/// Session, Unix time, RTP timestamp, bytes, key, packets lost before it, new parameters.
type ArrivalRow = (u64, f64, i64, usize, bool, u32, bool);
/// Id, address, user, password, address of the kept stream.
type CameraRow = (
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
);

fn boxes(regions: &[Region]) -> Vec<Box4> {
    regions
        .iter()
        .map(|region| (region.x, region.y, region.width, region.height))
        .collect()
}

fn settings_of(given: Option<&Bound<'_, PyDict>>) -> PyResult<stream::EngineSettings> {
    let mut settings = stream::EngineSettings::default();
    for (name, value) in given.into_iter().flatten() {
        let (name, value): (String, f64) = (name.extract()?, value.extract()?);
        if !settings.set(&name, value) {
            let rows = stream::EngineSettings::ROWS.iter().map(|row| row.0);
            let known: Vec<&str> = rows
                .chain(edusense_motion::Settings::NAMES.iter().copied())
                .collect();
            return Err(PyTypeError::new_err(format!(
                "no setting `{name}` with a value of {value}; there are {known:?}"
            )));
        }
    }
    Ok(settings)
}

/// Decoders in the order in which they are asked: ours take key pictures of H.264, and JPEG; FFmpeg takes all else.
pub(crate) fn chain_of(pyav: &Arc<PyAv>) -> Chain {
    Chain::new(vec![
        Arc::new(H264Intra),
        Arc::new(JpegEighth),
        pyav.clone(),
    ])
}

/// All cameras in one process.
#[pyclass(frozen, module = "edusense._native")]
struct Engine {
    engine: stream::Engine,
    pyav: Arc<PyAv>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let settings = settings_of(settings)?;
        let pyav = Arc::new(PyAv::new());
        let chain = chain_of(&pyav);
        let engine = py.outside(|| {
            stream::Engine::start(settings, chain, Arc::new(stream::SystemClock::default()))
                .map_err(|error| {
                    NativeError::new(
                        "internal",
                        format!("the engine cannot start: {error}"),
                        None,
                    )
                })
        })?;
        Ok(Self { engine, pyav })
    }

    fn update(&self, py: Python<'_>, cameras: Vec<CameraRow>) -> PyResult<()> {
        py.outside(|| {
            let config =
                |(id, url, user, password, keep): CameraRow| -> Result<_, stream::StreamError> {
                    let source =
                        |url: &str| stream::Source::new(url, user.as_deref(), password.as_deref());
                    Ok(stream::CameraConfig {
                        watch: source(&url)?,
                        keep: keep.as_deref().map(source).transpose()?,
                        id,
                    })
                };
            let configs = cameras
                .into_iter()
                .map(config)
                .collect::<Result<Vec<_>, _>>()?;
            self.engine.update(configs);
            Ok::<_, stream::StreamError>(())
        })
    }

    /// Where in a camera's picture motion counts. False: no such camera.
    fn set_zones(
        &self,
        py: Python<'_>,
        camera: &str,
        watch: Vec<Polygon>,
        ignore: Vec<Polygon>,
    ) -> PyResult<bool> {
        py.outside(|| Ok::<_, NativeError>(self.engine.set_zones(camera, Zones { watch, ignore })))
    }

    /// Whether each look of a camera in which something moves is told. False: no such camera.
    fn set_followed(&self, py: Python<'_>, camera: &str, followed: bool) -> PyResult<bool> {
        py.outside(|| Ok::<_, NativeError>(self.engine.set_followed(camera, followed)))
    }

    fn next_event<'py>(
        &self,
        py: Python<'py>,
        timeout: f64,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        // No number is no time to wait.
        let timeout = Duration::try_from_secs_f64(timeout.clamp(0.0, 3600.0)).unwrap_or_default();
        let event = py.outside(|| Ok::<_, NativeError>(self.engine.next_event(timeout)))?;
        event.map(|event| event_row(py, event)).transpose()
    }

    fn drained(&self) -> bool {
        self.engine.is_drained()
    }

    fn cameras<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let rows = py.outside(|| Ok::<_, NativeError>(self.engine.cameras()))?;
        rows.into_iter().map(|row| camera_row(py, &row)).collect()
    }

    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (dropped, clips) = py.outside(|| {
            Ok::<_, NativeError>((self.engine.dropped_news(), self.engine.clips_bytes()))
        })?;
        let row = PyDict::new(py);
        row.set_item("dropped_events", dropped)?;
        row.set_item("clips_bytes", clips)?;
        Ok(row)
    }

    fn clip<'py>(
        &self,
        py: Python<'py>,
        event: &str,
    ) -> PyResult<Option<(&'static str, bool, Vec<ClipUnit<'py>>)>> {
        let clip = py.outside(|| Ok::<_, NativeError>(self.engine.clip(event)))?;
        Ok(clip.map(|clip| {
            let unit = |unit: &stream::Unit| {
                (
                    PyBytes::new(py, &unit.au.data),
                    unit.au.pts,
                    unit.au.key,
                    unit.at_s,
                )
            };
            (
                clip.codec.name(),
                clip.truncated,
                clip.units.iter().map(unit).collect(),
            )
        }))
    }

    fn shot<'py>(&self, py: Python<'py>, event: &str) -> PyResult<Option<ShotRow<'py>>> {
        let found = py.outside(|| {
            let Some(shot) = self.engine.shot(event) else {
                return Ok(None);
            };
            let luma = self.engine.luma_of(&shot)?;
            Ok::<_, NativeError>(Some((shot, luma)))
        })?;
        Ok(found.map(|(shot, luma)| {
            let data = PyBytes::new(py, &luma.data);
            (
                data,
                luma.width,
                luma.height,
                boxes(&shot.regions),
                shot.full_width,
                shot.full_height,
            )
        }))
    }

    /// None: no such camera. An empty list: it has sent no key picture yet.
    fn newest_key<'py>(
        &self,
        py: Python<'py>,
        camera: &str,
    ) -> PyResult<Option<Vec<KeyUnit<'py>>>> {
        let found = py.outside(|| Ok::<_, NativeError>(self.engine.newest_key(camera)))?;
        Ok(found.map(|unit| {
            unit.into_iter()
                .map(|unit| (unit.codec.name(), PyBytes::new(py, &unit.data)))
                .collect()
        }))
    }

    /// What the gates have learned, by camera.
    fn kept_gates<'py>(&self, py: Python<'py>) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
        let kept = py.outside(|| Ok::<_, NativeError>(self.engine.kept_gates()))?;
        let bytes = |(id, kept): (String, Vec<u8>)| (id, PyBytes::new(py, &kept));
        Ok(kept.into_iter().map(bytes).collect())
    }

    /// Has a camera's gate go on from what it had learned. False: there is none, or it is not that.
    fn restore_gate(&self, py: Python<'_>, camera: &str, kept: &[u8]) -> PyResult<bool> {
        py.outside(|| Ok::<_, NativeError>(self.engine.restore_gate(camera, kept)))
    }

    /// Whether there is such a camera, and where things moved in its picture so far.
    fn heat<'py>(&self, py: Python<'py>, camera: &str) -> PyResult<(bool, Option<HeatRow<'py>>)> {
        let found = py.outside(|| Ok::<_, NativeError>(self.engine.heat(camera)))?;
        let known = found.is_some();
        Ok((known, found.flatten().map(|heat| heat_row(py, heat))))
    }

    /// The longest group of pictures that is held: codec, and each picture's bytes in the order of sending.
    fn longest_group<'py>(&self, py: Python<'py>, camera: &str) -> PyResult<Option<GroupRow<'py>>> {
        let units = py.outside(|| Ok::<_, NativeError>(self.engine.longest_group(camera)))?;
        Ok(units.and_then(|units| {
            let codec = units.first()?.au.codec.name();
            let bytes = units.iter().map(|unit| PyBytes::new(py, &unit.au.data));
            Some((codec, bytes.collect()))
        }))
    }

    /// None: no such camera. Else a row a picture: session, Unix time, timestamp, bytes, key, loss, new parameters.
    fn arrivals(&self, py: Python<'_>, camera: &str) -> PyResult<Option<Vec<ArrivalRow>>> {
        let found = py.outside(|| Ok::<_, NativeError>(self.engine.arrivals(camera)))?;
        let row = |one: stream::Arrival| {
            (
                one.session,
                one.received_s,
                one.timestamp,
                one.bytes,
                one.key,
                one.loss,
                one.new_parameters,
            )
        };
        Ok(found.map(|rows| rows.into_iter().map(row).collect()))
    }

    fn retry(&self, py: Python<'_>, camera: &str) -> PyResult<bool> {
        py.outside(|| Ok::<_, NativeError>(self.engine.retry(camera)))
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.outside(|| {
            self.pyav.close();
            self.engine.stop();
            self.pyav.clear();
            Ok::<_, NativeError>(())
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Its pool's threads may wait for the interpreter that the dropping thread holds.
        Python::try_attach(|py| py.detach(|| self.engine.stop()));
    }
}

fn stage_kind(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Suspected => ("motion-suspected", "suspected"),
        Stage::Confirmed => ("motion-confirmed", "confirmed"),
        Stage::Moving => ("motion-moving", "confirmed"),
        Stage::Withdrawn => ("motion-withdrawn", "withdrawn"),
        Stage::Ended => ("motion", "confirmed"),
    }
}

fn event_row(py: Python<'_>, event: stream::EngineEvent) -> PyResult<Bound<'_, PyDict>> {
    let row = PyDict::new(py);
    row.set_item("time_s", event.time_s)?;
    row.set_item("camera", &*event.camera)?;
    match event.news {
        News::Motion {
            id,
            stage,
            start_s,
            end_s,
            score,
            regions,
            tracks,
            at_s,
            clock_error_s,
            decoder,
            reason,
        } => {
            let (kind, state) = stage_kind(stage);
            row.set_item("kind", kind)?;
            row.set_item("state", state)?;
            row.set_item("id", &*id)?;
            row.set_item("start_s", start_s)?;
            row.set_item("end_s", end_s)?;
            row.set_item("score", score)?;
            row.set_item("regions", boxes(&regions))?;
            if stage == Stage::Moving {
                row.set_item("tracks", tracks)?;
                row.set_item("at_s", at_s)?;
            }
            row.set_item("clock_error_s", clock_error_s)?;
            row.set_item("decoder", decoder)?;
            row.set_item("reason", reason)?;
        }
        News::State {
            stream,
            state,
            reason,
            error,
            at,
        } => {
            row.set_item("kind", "camera")?;
            row.set_item("state", state.name())?;
            row.set_item("stream", stream)?;
            row.set_item("reason", reason)?;
            row.set_item("code", error.as_ref().map(|error| error.0))?;
            row.set_item("hint", error.and_then(|error| error.1))?;
            row.set_item("sequence", at.sequence)?;
            row.set_item("byte", at.byte)?;
            row.set_item("channel", at.stream)?;
            row.set_item("connection", at.connection)?;
        }
    }
    Ok(row)
}

/// What hides motion from its gate: word and meaning.
fn habits(camera: &stream::CameraStatus) -> Vec<(&'static str, &'static str)> {
    let habits = camera.gate.habits.iter();
    habits.map(|habit| (habit.name(), habit.words())).collect()
}

fn camera_row<'py>(py: Python<'py>, camera: &stream::CameraStatus) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    let counts = &camera.counts;
    row.set_item("kind", "camera")?;
    row.set_item("id", &*camera.id)?;
    row.set_item("state", camera.state.name())?;
    row.set_item("reason", &camera.reason)?;
    row.set_item("keep_state", camera.keep.as_ref().map(|keep| keep.0.name()))?;
    row.set_item("keep_reason", camera.keep.as_ref().map(|keep| &keep.1))?;
    row.set_item("pictures_received", counts.received)?;
    row.set_item("pictures_looked_at", counts.looked_at)?;
    row.set_item("pictures_decoded", counts.decoded)?;
    row.set_item("pictures_skipped", counts.skipped.clone())?;
    row.set_item("decoders", counts.decoders.clone())?;
    row.set_item("look_cpu_s", counts.cpu_s)?;
    row.set_item("bitrate_kbit", camera.bitrate_kbit)?;
    row.set_item("lost", counts.lost)?;
    let gate = PyDict::new(py);
    gate.set_item("state", camera.gate.word())?;
    gate.set_item("words", camera.gate.words())?;
    gate.set_item("agreement", camera.gate.record.hit_rate())?;
    gate.set_item("probes_moved", camera.gate.record.moved)?;
    gate.set_item("habits", habits(camera))?;
    gate.set_item("level", camera.gate.level)?;
    gate.set_item("threshold", camera.gate.threshold)?;
    gate.set_item("noise", camera.gate.noise)?;
    row.set_item("gate", gate)?;
    row.set_item("events", counts.events)?;
    row.set_item("last_event_s", camera.last_event_s)?;
    row.set_item("picture_s", camera.picture_s)?;
    row.set_item("reconnects", camera.reconnects)?;
    row.set_item("clock_jumps", camera.clock_jumps)?;
    row.set_item("clock_error_s", camera.clock_error_s)?;
    row.set_item("buffer_bytes", camera.buffer_bytes)?;
    row.set_item("trouble", &camera.trouble)?;
    Ok(row)
}

/// One source watched by the engine's rules, without an engine: picture after picture, in media time.
#[pyclass(frozen, module = "edusense._native")]
struct Watch {
    state: Mutex<(stream::CameraWatch, stream::Budget)>,
    chain: Chain,
    codec: Codec,
}

impl Watch {
    fn held(&self) -> MutexGuard<'_, (stream::CameraWatch, stream::Budget)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Watch {
    #[new]
    #[pyo3(signature = (codec, **settings))]
    fn new(codec: &str, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let codec = [Codec::H264, Codec::H265, Codec::Jpeg]
            .into_iter()
            .find(|known| known.name() == codec);
        let codec =
            codec.ok_or_else(|| PyValueError::new_err("codec must be `h264`, `h265` or `jpeg`"))?;
        let settings = settings_of(settings)?;
        let budget = stream::Budget::new(settings.look_cores);
        let watch = stream::CameraWatch::new(settings.watch);
        Ok(Self {
            state: Mutex::new((watch, budget)),
            chain: chain_of(&Arc::new(PyAv::new())),
            codec,
        })
    }

    /// Where motion counts.
    fn set_zones(&self, py: Python<'_>, watch: Vec<Polygon>, ignore: Vec<Polygon>) -> PyResult<()> {
        py.outside(|| {
            self.held().0.set_zones(Arc::new(Zones { watch, ignore }));
            Ok::<_, NativeError>(())
        })
    }

    /// Whether each look in which something moves is told.
    fn set_followed(&self, py: Python<'_>, followed: bool) -> PyResult<()> {
        py.outside(|| {
            self.held().0.set_followed(followed);
            Ok::<_, NativeError>(())
        })
    }

    /// Takes the next access unit. `pts`: 90 kHz ticks.
    fn push<'py>(
        &self,
        py: Python<'py>,
        data: &[u8],
        pts: i64,
        key: bool,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let data = Bytes::copy_from_slice(data);
        let at_s = pts as f64 / stream::TICKS;
        let au = AccessUnit {
            codec: self.codec,
            data,
            pts,
            received_s: at_s,
            key,
            loss: 0,
        };
        let events = py.outside(|| {
            let (watch, budget) = &mut *self.held();
            budget.refill(at_s);
            let mut events = watch.push(stream::Unit { au, at_s }, false);
            events.extend(watch.catch_up(&self.chain, budget).events);
            Ok::<_, NativeError>(events)
        })?;
        events
            .into_iter()
            .map(|event| watch_row(py, event))
            .collect()
    }

    /// The source is at its end.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let events = py.outside(|| {
            let (watch, budget) = &mut *self.held();
            budget.refill(f64::MAX);
            let mut events = watch.interrupt().events;
            events.extend(watch.catch_up(&self.chain, budget).events);
            events.extend(watch.give_up().events);
            Ok::<_, NativeError>(events)
        })?;
        events
            .into_iter()
            .map(|event| watch_row(py, event))
            .collect()
    }

    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        // Outside too: who pushes holds the watch, and needs the interpreter to decode.
        let (counts, gate, trouble) = py.outside(|| {
            let held = self.held();
            Ok::<_, NativeError>((
                held.0.counts().clone(),
                held.0.gate(),
                held.0.trouble().map(str::to_owned),
            ))
        })?;
        let row = PyDict::new(py);
        row.set_item("pictures_received", counts.received)?;
        row.set_item("pictures_looked_at", counts.looked_at)?;
        row.set_item("pictures_decoded", counts.decoded)?;
        row.set_item("pictures_skipped", counts.skipped)?;
        row.set_item("decoders", counts.decoders)?;
        row.set_item("look_cpu_s", counts.cpu_s)?;
        row.set_item("gate", gate.word())?;
        row.set_item("trouble", trouble)?;
        Ok(row)
    }
}

fn watch_row(py: Python<'_>, event: WatchEvent) -> PyResult<Bound<'_, PyDict>> {
    let mut numbers = None;
    let (kind, id, start_s, end_s, score, regions) = match event {
        WatchEvent::Suspected { id, at_s } => ("motion-suspected", id, at_s, None, 0.0, Vec::new()),
        WatchEvent::Withdrawn { id, at_s, .. } => {
            ("motion-withdrawn", id, at_s, Some(at_s), 0.0, Vec::new())
        }
        WatchEvent::Confirmed {
            id,
            start_s,
            score,
            regions,
        } => ("motion-confirmed", id, start_s, None, score, regions),
        WatchEvent::Moving {
            id,
            at_s,
            score,
            regions,
            tracks,
        } => {
            numbers = Some(tracks);
            ("motion-moving", id, at_s, None, score, regions)
        }
        WatchEvent::Ended {
            id,
            start_s,
            end_s,
            score,
            regions,
        } => ("motion", id, start_s, Some(end_s), score, regions),
    };
    let row = PyDict::new(py);
    row.set_item("kind", kind)?;
    row.set_item("id", id)?;
    row.set_item("start_s", start_s)?;
    row.set_item("end_s", end_s)?;
    row.set_item("score", score)?;
    row.set_item("regions", boxes(&regions))?;
    if let Some(numbers) = numbers {
        row.set_item("tracks", numbers)?;
        row.set_item("at_s", start_s)?;
    }
    Ok(row)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ENGINE_SETTINGS", stream::EngineSettings::ROWS.to_vec())?;
    module.add("MOTION_SETTINGS", edusense_motion::Settings::NAMES.to_vec())?;
    module.add_class::<Engine>()?;
    module.add_class::<Watch>()
}
