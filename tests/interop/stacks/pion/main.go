// Pion as a participant: sends a tone and a moving pattern to a WHIP door, or keeps what a WHEP
// door sends. One line of JSON on standard output per event; ends after -seconds, or on SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/webrtc/v4"
)

var suites = map[string]dtls.CipherSuiteID{
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA":    dtls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
}

var profiles = map[string]dtls.SRTPProtectionProfile{
	"AEAD_AES_128_GCM":       dtls.SRTP_AEAD_AES_128_GCM,
	"AES128_CM_HMAC_SHA1_80": dtls.SRTP_AES128_CM_HMAC_SHA1_80,
}

type options struct {
	whip, whep, tokenFile, audio, video, out string
	suite, profile                           string
	seconds                                  int
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: pion send|receive …")
	}
	var o options
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.whip, "whip", "", "the door to send to")
	flags.StringVar(&o.whep, "whep", "", "the door to receive from")
	flags.StringVar(&o.tokenFile, "token-file", "", "holds the bearer token")
	flags.StringVar(&o.audio, "audio", "", "Opus in Ogg, played again and again")
	flags.StringVar(&o.video, "video", "", "VP8 in IVF, played again and again")
	flags.StringVar(&o.out, "out", "", "where received audio.ogg and video.ivf go")
	flags.StringVar(&o.suite, "suite", "", "the only DTLS cipher suite to offer")
	flags.StringVar(&o.profile, "profile", "", "the only SRTP profile to offer")
	flags.IntVar(&o.seconds, "seconds", 30, "how long to stay")
	_ = flags.Parse(os.Args[2:]) // ExitOnError

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds)*time.Second)
	defer cancel()
	if err := run(ctx, os.Args[1], o); err != nil {
		say("failed", "reason", err.Error())
		os.Exit(1)
	}
	say("ended")
}

func run(ctx context.Context, way string, o options) error {
	connection, err := connect(o)
	if err != nil {
		return err
	}
	defer connection.Close() //nolint:errcheck // nothing is left to do with it
	failed := make(chan struct{}, 1)
	connection.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		say(state.String())
		if state == webrtc.PeerConnectionStateFailed {
			failed <- struct{}{}
		}
	})
	url := o.whip
	switch way {
	case "send":
		err = send(ctx, connection, o.audio, o.video)
	case "receive":
		url = o.whep
		var kept *recording
		if kept, err = keep(connection, filepath.Join(o.out, "audio.ogg"), filepath.Join(o.out, "video.ivf")); err == nil {
			defer kept.Close()
		}
	default:
		err = fmt.Errorf("no such way: %s", way)
	}
	if err != nil {
		return err
	}
	token, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return err
	}
	session, err := enter(connection, url, strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	defer session.leave()
	select {
	case <-ctx.Done():
		return nil
	case <-failed:
		return fmt.Errorf("the transport failed")
	}
}

func connect(o options) (*webrtc.PeerConnection, error) {
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if o.suite != "" {
		suite, known := suites[o.suite]
		if !known {
			return nil, fmt.Errorf("no such suite: %s", o.suite)
		}
		settings.SetDTLSCipherSuites(suite)
	}
	if o.profile != "" {
		profile, known := profiles[o.profile]
		if !known {
			return nil, fmt.Errorf("no such profile: %s", o.profile)
		}
		settings.SetSRTPProtectionProfiles(profile)
	}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	api := webrtc.NewAPI(webrtc.WithSettingEngine(settings), webrtc.WithMediaEngine(media))
	return api.NewPeerConnection(webrtc.Configuration{})
}

func say(event string, fields ...string) {
	line := map[string]string{"event": event}
	for i := 0; i+1 < len(fields); i += 2 {
		line[fields[i]] = fields[i+1]
	}
	_ = json.NewEncoder(os.Stdout).Encode(line) // maps of strings always encode
}
