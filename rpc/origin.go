package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/cors"
)

// preflightSeconds is how long a browser may keep what a preflight said, so that not each call of a page is two.
const preflightSeconds = 600

// ParseOrigin reads a web origin (RFC 6454), or "*" for any, as [Options] has them: as browsers send it, which is in lower
// case and without the port that its scheme has anyway.
func ParseOrigin(s string) (string, error) {
	if s == anyName {
		return s, nil
	}
	want := errors.New("want an origin such as https://example.org or http://localhost:3000, without a path, or * for any")
	u, err := url.Parse(strings.ToLower(s))
	if err != nil || u.Scheme == "" || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || strings.Contains(s, anyName) {
		return "", want
	}
	host := u.Host
	for scheme, port := range map[string]string{"http": ":80", "https": ":443"} {
		if u.Scheme == scheme {
			host = strings.TrimSuffix(host, port)
		}
	}
	if u.String() != u.Scheme+"://"+u.Host {
		return "", want
	}
	return u.Scheme + "://" + host, nil
}

// allowOrigins lets the pages of origins read answers: it sets the headers of CORS, which monerod has too, on the answers
// to them. Without origins it sets none, so that no page of another origin can read anything.
//
// Credentials in CORS's sense, those that a browser adds by itself, are never allowed. A page can send an Authorization
// header that it has computed, for which it may read WWW-Authenticate; monero-ts in a browser does so.
func allowOrigins(origins []string) func(http.Handler) http.Handler {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }
	}
	return cors.Handler(cors.Options{
		AllowedOrigins:     origins,
		AllowedMethods:     []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowedHeaders:     []string{"Content-Type", "Authorization", "X-Requested-With"},
		ExposedHeaders:     []string{"WWW-Authenticate", "Retry-After"},
		MaxAge:             preflightSeconds,
		OptionsPassthrough: true, // to answerPreflight, behind the rate limit and the token
	})
}

// answerPreflight ends the preflights that allowOrigins has allowed. It stands before the login: a browser asks without
// credentials whether it may send some.
func answerPreflight(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && w.Header().Get("Access-Control-Allow-Methods") != "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkOrigin refuses what a page of another origin posts. It could not read the answer, but make the daemon work for it:
// since the Content-Type of a call does not matter here, a browser asks for no permission before it sends one.
func checkOrigin(origins []string, faceOf func(*http.Request) face, refused func(Refusal)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if slices.Contains(origins, anyName) {
			return next
		}
		protection := http.NewCrossOriginProtection()
		for _, origin := range origins {
			if err := protection.AddTrustedOrigin(origin); err != nil {
				panic(err) // not one of ParseOrigin's
			}
		}
		protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			refused(RefusedOrigin)
			faceOf(r).writeStatus(w, http.StatusForbidden, fmt.Sprintf(
				"pages of the origin %.100q are not allowed to post: want one given by --rpc-access-control-origins", r.Header.Get("Origin")), "")
		}))
		return protection.Handler(next)
	}
}
