//! The bodies of an exchange, both ways: they stream with backpressure and tell the watch what is waited for.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use smallvec::SmallVec;
use tidegate_policy::{BodyFilter, Reply};

use super::h2_client::Receiving;
use super::watch::{Cut, Exchange, Phase};
use super::{grpc, trailers};

/// What comes piece by piece from a caller.
pub(crate) type Incoming = hyper::body::Incoming;

/// What comes piece by piece from a target.
pub(crate) enum Stream {
    /// Nothing, whatever the head says.
    None,
    H1(Incoming),
    H2(Receiving),
    /// All of it, from memory.
    Kept(Bytes),
}

impl Body for Stream {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Piece {
        match self.get_mut() {
            Stream::None => Poll::Ready(None),
            Stream::H1(body) => Pin::new(body).poll_frame(cx).map_err(BodyError::broken),
            Stream::H2(body) => Pin::new(body).poll_frame(cx),
            Stream::Kept(all) if all.is_empty() => Poll::Ready(None),
            Stream::Kept(all) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(all))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Stream::None => true,
            Stream::H1(body) => body.is_end_stream(),
            Stream::H2(body) => body.is_end_stream(),
            Stream::Kept(all) => all.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Stream::None => SizeHint::with_exact(0),
            Stream::H1(body) => body.size_hint(),
            Stream::H2(body) => body.size_hint(),
            Stream::Kept(all) => SizeHint::with_exact(all.len() as u64),
        }
    }
}

/// Why a body did not come whole.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error(transparent)]
    Cut(#[from] Cut),
    #[error("the connection did not bring all of the body")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl BodyError {
    #[cold]
    pub(crate) fn broken(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        BodyError::Broken(why.into())
    }
}

type Piece = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

/// The body of a request, on its way to a target.
pub(crate) enum RequestBody {
    /// There is none.
    Empty,
    /// All of it, in memory.
    Whole(Bytes),
    /// As it comes.
    Stream(Box<RequestStream>),
}

/// A request's body as it comes from the caller.
pub(crate) struct RequestStream {
    stream: Incoming,
    exchange: Rc<Exchange>,
    /// Policies that look at each piece.
    pub(crate) filters: SmallVec<[Box<dyn BodyFilter>; 1]>,
    /// How long the caller may pause, the target may take nothing, and the answer may take, in ticks.
    pub(crate) client_body: u32,
    pub(crate) upstream_idle: u32,
    pub(crate) first_byte: u32,
}

impl RequestBody {
    pub(crate) fn new(stream: Incoming, exchange: &Rc<Exchange>) -> Self {
        if stream.is_end_stream() {
            return RequestBody::Empty;
        }
        exchange.request_done.set(false);
        RequestBody::Stream(Box::new(RequestStream {
            stream,
            exchange: exchange.clone(),
            filters: SmallVec::new(),
            client_body: 0,
            upstream_idle: 0,
            first_byte: 0,
        }))
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, RequestBody::Empty)
    }
}

impl RequestStream {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Piece {
        if let Some(cut) = self.exchange.is_cut() {
            return Poll::Ready(Some(Err(cut.into())));
        }
        let Poll::Ready(piece) = Pin::new(&mut self.stream).poll_frame(cx) else {
            self.exchange.request_body_waits(Phase::ClientSends, self.client_body);
            return Poll::Pending;
        };
        match piece {
            Some(Ok(frame)) => Poll::Ready(self.passed(frame).transpose()),
            Some(Err(error)) => {
                self.exchange.cut(Cut::BodyBroken);
                Poll::Ready(Some(Err(BodyError::broken(error))))
            }
            // hyper takes a stream that was reset without an error for one that came to its end
            None if self.exchange.connection.is_multiplexed() && !self.stream.is_end_stream() => {
                self.exchange.cut(Cut::BodyBroken);
                Poll::Ready(Some(Err(Cut::BodyBroken.into())))
            }
            None => {
                let rest = self.ended();
                self.is_done();
                match rest {
                    Ok(rest) if rest.is_empty() => Poll::Ready(None),
                    Ok(rest) => Poll::Ready(Some(Ok(Frame::data(rest)))),
                    Err(error) => Poll::Ready(Some(Err(error))),
                }
            }
        }
    }

    /// What the policies have left to pass on at the end.
    fn ended(&mut self) -> Result<Bytes, BodyError> {
        end_of(&mut self.filters).map_err(|reply| self.refused(reply))
    }

    fn refused(&self, reply: Box<Reply>) -> BodyError {
        *self.exchange.refusal.borrow_mut() = Some(reply);
        self.exchange.cut(Cut::Refused);
        Cut::Refused.into()
    }

    /// A piece goes on, once the policies have seen it.
    fn passed(&mut self, frame: Frame<Bytes>) -> Result<Option<Frame<Bytes>>, BodyError> {
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                self.is_done();
                return Ok(frame.into_trailers().ok().and_then(trailers::passable).map(Frame::trailers));
            }
        };
        pass_on(&mut self.filters, &mut data).map_err(|reply| self.refused(reply))?;
        if self.stream.is_end_stream() {
            append(&mut data, self.ended()?);
        }
        self.exchange.request_bytes.set(self.exchange.request_bytes.get() + data.len() as u64);
        if self.stream.is_end_stream() {
            self.is_done();
        } else {
            self.exchange.request_body_moved(Phase::UpstreamTakes, self.upstream_idle);
        }
        Ok(Some(Frame::data(data)))
    }

    fn is_done(&self) {
        self.exchange.request_done.set(true);
        self.exchange.request_body_moved(Phase::FirstByte, self.first_byte);
    }
}

impl Drop for RequestStream {
    fn drop(&mut self) {
        if !self.exchange.request_done.get() {
            self.exchange.connection.left_unread();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Piece {
        let this = self.get_mut();
        match this {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Whole(_) => {
                let RequestBody::Whole(all) = std::mem::replace(this, RequestBody::Empty) else {
                    return Poll::Ready(None);
                };
                Poll::Ready(Some(Ok(Frame::data(all))))
            }
            RequestBody::Stream(stream) => stream.poll_piece(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Whole(all) => all.is_empty(),
            RequestBody::Stream(stream) => stream.exchange.request_done.get(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Whole(all) => SizeHint::with_exact(all.len() as u64),
            // filters may change what passes
            RequestBody::Stream(stream) if stream.filters.is_empty() => stream.stream.size_hint(),
            RequestBody::Stream(_) => SizeHint::new(),
        }
    }
}

/// A piece passes each filter.
fn pass_on(filters: &mut [Box<dyn BodyFilter>], data: &mut Bytes) -> Result<(), Box<Reply>> {
    filters.iter_mut().try_for_each(|filter| filter.on_data(data))
}

/// What is left at the end: what one still has passes those behind it. Each is asked once.
pub(crate) fn end_of(filters: &mut SmallVec<[Box<dyn BodyFilter>; 1]>) -> Result<Bytes, Box<Reply>> {
    let mut rest = Bytes::new();
    for mut filter in std::mem::take(filters) {
        if !rest.is_empty() {
            filter.on_data(&mut rest)?;
        }
        append(&mut rest, filter.on_end()?);
    }
    Ok(rest)
}

fn append(data: &mut Bytes, more: Bytes) {
    if data.is_empty() {
        *data = more;
    } else if !more.is_empty() {
        *data = [&data[..], &more[..]].concat().into();
    }
}

/// All of a body passes filters, in pieces as large as they take; between two of them others have their turn.
pub(crate) async fn filter_whole(
    filters: &mut SmallVec<[Box<dyn BodyFilter>; 1]>,
    mut all: Bytes,
) -> Result<Bytes, Box<Reply>> {
    let max = piece_max(filters);
    if all.len() <= max {
        if !all.is_empty() {
            pass_on(filters, &mut all)?;
        }
        append(&mut all, end_of(filters)?);
        return Ok(all);
    }
    let mut passed = Vec::new();
    while !all.is_empty() {
        let mut piece = all.split_to(max.min(all.len()));
        pass_on(filters, &mut piece)?;
        passed.extend_from_slice(&piece);
        tokio::task::yield_now().await;
    }
    passed.extend_from_slice(&end_of(filters)?);
    Ok(passed.into())
}

/// The largest piece that all of them take.
fn piece_max(filters: &[Box<dyn BodyFilter>]) -> usize {
    filters.iter().map(|filter| filter.piece_bytes_max()).min().unwrap_or(usize::MAX).max(1)
}

/// What happens when an exchange is over.
pub(crate) trait Ending {
    /// The caller got all of it, so many bytes of body; or not.
    fn ended(self: Box<Self>, complete: bool, response_bytes: u64);
}

/// The body of a reply, on its way to the caller.
pub(crate) struct ResponseBody {
    from: Source,
    bytes: u64,
    /// Run when the codec lets go of the body: HTTP/2 holds the last piece until the caller has room for it, and only then is
    /// the exchange over.
    ending: Option<Box<dyn Ending>>,
}

enum Source {
    Empty,
    Whole(Bytes),
    Stream(Stream, Flow),
    /// All that is left to come.
    Trailers(Box<http::HeaderMap>),
}

/// What a streaming reply is bound to.
pub(crate) struct Flow {
    pub(crate) exchange: Rc<Exchange>,
    /// How long the target may pause, and the caller may take nothing, in ticks.
    pub(crate) upstream_idle: u32,
    pub(crate) client_write: u32,
    /// It answers a call by gRPC.
    pub(crate) grpc: bool,
    /// Policies that look at each piece.
    pub(crate) filters: SmallVec<[Box<dyn BodyFilter>; 1]>,
    /// What is left of a piece that is too large for them.
    pub(crate) rest: Rested,
}

/// What is left of a piece, once others had their turn.
#[derive(Default)]
pub(crate) struct Rested {
    left: Bytes,
    has_rested: bool,
}

impl Rested {
    /// The next piece of it, as large as it may be. Others have their turn first.
    fn poll(&mut self, max: usize, cx: &Context<'_>) -> Poll<Bytes> {
        if !std::mem::replace(&mut self.has_rested, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = std::mem::take(&mut self.left);
        Poll::Ready(self.cut(left, max))
    }

    /// As much of a piece as may be; the rest waits.
    fn cut(&mut self, mut data: Bytes, max: usize) -> Bytes {
        if data.len() > max {
            self.left = data.split_off(max);
            self.has_rested = false;
        }
        data
    }
}

impl ResponseBody {
    /// All of it, in memory.
    pub(crate) fn whole(all: Bytes, ending: Option<Box<dyn Ending>>) -> Self {
        let from = if all.is_empty() { Source::Empty } else { Source::Whole(all) };
        ResponseBody { from, bytes: 0, ending }
    }

    /// As it comes.
    pub(crate) fn streaming(stream: Stream, mut flow: Flow, ending: Option<Box<dyn Ending>>) -> Self {
        if stream.is_end_stream()
            && let Ok(rest) = end_of(&mut flow.filters)
        {
            return ResponseBody::whole(rest, ending);
        }
        flow.exchange.enter(Phase::ClientTakes, flow.client_write);
        ResponseBody { from: Source::Stream(stream, flow), bytes: 0, ending }
    }

    fn end(&mut self, complete: bool) {
        self.from = Source::Empty;
        if let Some(ending) = self.ending.take() {
            ending.ended(complete, self.bytes);
        }
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>) -> Piece {
        let Source::Stream(stream, flow) = &mut self.from else { return Poll::Ready(None) };
        // what comes from memory is not waited for, and may be there for one that was cut
        if let Some(cut) = flow.exchange.is_cut()
            && !matches!(stream, Stream::Kept(_))
        {
            let told = flow.grpc && matches!(cut, Cut::Request | Cut::Idle);
            self.end(false);
            // a call has a place for what went wrong behind its messages
            return Poll::Ready(Some(if told {
                Ok(Frame::trailers(grpc::deadline_exceeded(&cut.to_string())))
            } else {
                Err(cut.into())
            }));
        }
        let next = match flow.rest.left.is_empty() {
            true => Pin::new(&mut *stream).poll_frame(cx),
            false => flow.rest.poll(piece_max(&flow.filters), cx).map(|data| Some(Ok(Frame::data(data)))),
        };
        let is_resting = !flow.rest.left.is_empty();
        let Poll::Ready(piece) = next else {
            if is_resting {
                return Poll::Pending;
            }
            flow.exchange.enter_once(Phase::UpstreamSends, flow.upstream_idle);
            return Poll::Pending;
        };
        match piece {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(mut data) => {
                    if !flow.filters.is_empty() && !is_resting {
                        data = flow.rest.cut(data, piece_max(&flow.filters));
                    }
                    let ended = stream.is_end_stream() && flow.rest.left.is_empty();
                    if !flow.filters.is_empty() {
                        let passed = pass_on(&mut flow.filters, &mut data);
                        let rest =
                            passed.and_then(|()| if ended { end_of(&mut flow.filters) } else { Ok(Bytes::new()) });
                        let Ok(rest) = rest else { return self.refused() };
                        append(&mut data, rest);
                    }
                    self.bytes += data.len() as u64;
                    flow.exchange.enter(Phase::ClientTakes, flow.client_write);
                    if ended {
                        self.from = Source::Empty;
                    }
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                Err(frame) => {
                    if !flow.filters.is_empty() {
                        return self.trailers_behind(frame);
                    }
                    self.from = Source::Empty;
                    Poll::Ready(frame.into_trailers().ok().and_then(trailers::passable).map(|t| Ok(Frame::trailers(t))))
                }
            },
            Some(Err(error)) => {
                flow.exchange.facts.upstream_broke.set(true);
                self.end(false);
                Poll::Ready(Some(Err(error)))
            }
            None => {
                let Ok(rest) = end_of(&mut flow.filters) else { return self.refused() };
                self.from = Source::Empty;
                self.last(rest)
            }
        }
    }

    /// What the filters had left goes out behind the rest.
    fn last(&mut self, rest: Bytes) -> Piece {
        self.bytes += rest.len() as u64;
        Poll::Ready((!rest.is_empty()).then(|| Ok(Frame::data(rest))))
    }

    /// Trailers came, and policies look at the body: what these have left goes out, and the trailers with the next turn.
    fn trailers_behind(&mut self, frame: Frame<Bytes>) -> Piece {
        let Source::Stream(_, flow) = &mut self.from else { return Poll::Ready(None) };
        let Ok(rest) = end_of(&mut flow.filters) else { return self.refused() };
        let trailers = frame.into_trailers().ok().and_then(trailers::passable);
        self.from = trailers.map_or(Source::Empty, |trailers| Source::Trailers(Box::new(trailers)));
        if rest.is_empty() { self.poll_trailers() } else { self.last(rest) }
    }

    fn poll_trailers(&mut self) -> Piece {
        match std::mem::replace(&mut self.from, Source::Empty) {
            Source::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(*trailers)))),
            _ => Poll::Ready(None),
        }
    }

    /// A policy refuses what it sees of a body whose head has gone out: it is cut.
    fn refused(&mut self) -> Piece {
        let Source::Stream(_, flow) = &self.from else { return Poll::Ready(None) };
        flow.exchange.cut(Cut::Refused);
        self.end(false);
        Poll::Ready(Some(Err(Cut::Refused.into())))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Piece {
        let this = self.get_mut();
        match &mut this.from {
            Source::Empty => Poll::Ready(None),
            Source::Stream(..) => this.poll_stream(cx),
            Source::Trailers(_) => this.poll_trailers(),
            Source::Whole(all) => {
                let all = std::mem::take(all);
                this.bytes = all.len() as u64;
                this.from = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(all))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.from, Source::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.from {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(all) => SizeHint::with_exact(all.len() as u64),
            // filters may change what passes
            Source::Stream(stream, flow) if flow.filters.is_empty() => stream.size_hint(),
            Source::Stream(..) => SizeHint::new(),
            Source::Trailers(_) => SizeHint::with_exact(0),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let complete = matches!(self.from, Source::Empty);
        self.end(complete);
    }
}

/// Reads a whole body.
///
/// # Errors
/// `None` if it is larger than it may be.
pub(crate) async fn collect<B>(body: B, max: u64) -> Result<Option<Bytes>, BodyError>
where
    B: Body<Data = Bytes, Error = BodyError>,
{
    let mut body = std::pin::pin!(body);
    let mut first: Option<Bytes> = None;
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len).max(all.len());
        if (so_far + data.len()) as u64 > max {
            return Ok(None);
        }
        match &first {
            None => first = Some(data),
            Some(head) => {
                if all.is_empty() {
                    all.extend_from_slice(head);
                }
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(Some(if all.is_empty() { first.unwrap_or_default() } else { all.into() }))
}

/// Waits for a stream's next piece with nothing but the wait: for bodies that are read whole.
pub(crate) struct Collected {
    pub(crate) stream: Stream,
    pub(crate) exchange: Rc<Exchange>,
    pub(crate) upstream_idle: u32,
}

impl Body for Collected {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Piece {
        let this = self.get_mut();
        if let Some(cut) = this.exchange.is_cut() {
            return Poll::Ready(Some(Err(cut.into())));
        }
        // each piece begins a new wait
        let piece = ready!(Pin::new(&mut this.stream).poll_frame(cx));
        this.exchange.enter(Phase::UpstreamSends, this.upstream_idle);
        Poll::Ready(piece)
    }
}
