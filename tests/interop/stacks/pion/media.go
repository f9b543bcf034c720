package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/pion/webrtc/v4/pkg/media/ivfwriter"
	"github.com/pion/webrtc/v4/pkg/media/oggreader"
	"github.com/pion/webrtc/v4/pkg/media/oggwriter"
)

const (
	opusFrame   = 20 * time.Millisecond
	keyInterval = time.Second // a viewer that lost a picture waits no longer for the next whole one
)

// send adds both tracks and plays the files into them until ctx ends.
func send(ctx context.Context, connection *webrtc.PeerConnection, audio, video string) error {
	sounds, err := readOgg(audio)
	if err != nil {
		return err
	}
	pictures, pause, err := readIvf(video)
	if err != nil {
		return err
	}
	sound, err := webrtc.NewTrackLocalStaticSample(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "tone", "stack")
	if err != nil {
		return err
	}
	picture, err := webrtc.NewTrackLocalStaticSample(
		webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "pattern", "stack")
	if err != nil {
		return err
	}
	for _, track := range []webrtc.TrackLocal{sound, picture} {
		transceiver, err := connection.AddTransceiverFromTrack(
			track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return err
		}
		go func() { // interceptors see RTCP only while somebody reads it
			for {
				if _, _, err := transceiver.Sender().ReadRTCP(); err != nil {
					return
				}
			}
		}()
	}
	go play(ctx, sound, sounds, opusFrame)
	go play(ctx, picture, pictures, pause)
	return nil
}

func play(ctx context.Context, track *webrtc.TrackLocalStaticSample, samples [][]byte, pause time.Duration) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			sample := media.Sample{Data: samples[i%len(samples)], Duration: pause}
			if err := track.WriteSample(sample); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				say("sending", "reason", err.Error())
				return
			}
		}
	}
}

func readOgg(path string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	reader, _, err := oggreader.NewWith(file)
	if err != nil {
		return nil, err
	}
	var packets [][]byte
	for {
		page, _, err := reader.ParseNextPage() // the tests write one packet a page
		if errors.Is(err, io.EOF) {
			return packets, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(string(page), "Opus") {
			packets = append(packets, page)
		}
	}
}

func readIvf(path string) ([][]byte, time.Duration, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close() //nolint:errcheck // only read
	reader, header, err := ivfreader.NewWith(file)
	if err != nil {
		return nil, 0, err
	}
	pause := time.Second * time.Duration(header.TimebaseNumerator) / time.Duration(header.TimebaseDenominator)
	var frames [][]byte
	for {
		frame, _, err := reader.ParseNextFrame()
		if errors.Is(err, io.EOF) {
			return frames, pause, nil
		}
		if err != nil {
			return nil, 0, err
		}
		frames = append(frames, frame)
	}
}

// recording is what arrived, in files that any player opens.
type recording struct {
	mutex sync.Mutex
	audio media.Writer
	video media.Writer
}

func (r *recording) Close() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	_ = r.audio.Close()
	_ = r.video.Close()
}

// keep asks for one track of each kind and writes them down.
func keep(connection *webrtc.PeerConnection, audio, video string) (*recording, error) {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := connection.AddTransceiverFromKind(
			kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return nil, err
		}
	}
	sounds, err := oggwriter.New(audio, 48000, 2)
	if err != nil {
		return nil, err
	}
	pictures, err := ivfwriter.New(video)
	if err != nil {
		return nil, err
	}
	kept := &recording{audio: sounds, video: pictures}
	connection.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		say("track", "codec", track.Codec().MimeType)
		writer := kept.audio
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			writer = kept.video
			go askForKeyFrames(connection, track)
		}
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			kept.write(writer, packet)
		}
	})
	return kept, nil
}

func (r *recording) write(writer media.Writer, packet *rtp.Packet) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(packet.Payload) > 0 { // padding alone is nothing to write
		_ = writer.WriteRTP(packet) // a packet the writer cannot use is missing from the file
	}
}

func askForKeyFrames(connection *webrtc.PeerConnection, track *webrtc.TrackRemote) {
	for {
		request := &rtcp.PictureLossIndication{MediaSSRC: uint32(track.SSRC())}
		if connection.WriteRTCP([]rtcp.Packet{request}) != nil {
			return
		}
		time.Sleep(keyInterval)
	}
}
