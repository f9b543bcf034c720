package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"
)

const answerLimit = 1 << 20 // bytes

// session is what a WHIP or WHEP door opened (RFC 9725).
type session struct {
	client *http.Client
	url    string
	token  string
}

// enter offers all that the connection has, candidates included, and takes the answer.
func enter(connection *webrtc.PeerConnection, door, token string) (*session, error) {
	offer, err := connection.CreateOffer(nil)
	if err != nil {
		return nil, err
	}
	gathered := webrtc.GatheringCompletePromise(connection)
	if err = connection.SetLocalDescription(offer); err != nil {
		return nil, err
	}
	<-gathered
	client := &http.Client{Timeout: 20 * time.Second}
	request, err := http.NewRequest(http.MethodPost, door, strings.NewReader(connection.LocalDescription().SDP))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/sdp")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusCreated {
		return nil, fmt.Errorf("%s: %s", response.Status, body)
	}
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)}
	if err = connection.SetRemoteDescription(answer); err != nil {
		return nil, err
	}
	say("answered")
	return &session{client, request.URL.ResolveReference(location).String(), token}, nil
}

// leave ends the session at the door; the event tells how the door answered.
func (s *session) leave() {
	request, err := http.NewRequest(http.MethodDelete, s.url, nil)
	if err != nil {
		say("left", "reason", err.Error())
		return
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	response, err := s.client.Do(request)
	if err != nil {
		say("left", "reason", err.Error())
		return
	}
	_ = response.Body.Close()
	say("left", "status", response.Status)
}
