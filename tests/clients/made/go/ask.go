// Calls every method of the client that `cargo murmur clients` has made for page-traffic.
//
//	ask URL QUESTION      prints a JSON object with all replies; QUESTION is one too
//	ask URL one [CA]      makes one call with a token; prints how it ended; CA is a file of authorities
//	ask URL brief         the same with a deadline of a second
//	ask URL watch         prints the views in two replies, each when it comes
//	ask URL absence=MS    watches, and asks for a server that is away for so many milliseconds; prints how that ended
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	client "page-traffic-client"
	pb "page-traffic-client/page_traffic/v1"
	"page-traffic-client/page_traffic/v1/murmur"
)

// Long, as a machine that is busy is no reason to fail.
const patience = 300 * time.Second

type of struct {
	Page       string
	Start, End int64
}

type question struct {
	Pages, Edges []string
	Start, End   int64
	Window, Step int64
	Zone         string
	Presence     map[string]of
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// The name of a code as gRPC writes it.
func code(err error) string {
	names := map[codes.Code]string{
		codes.OK: "OK", codes.Unavailable: "UNAVAILABLE", codes.Internal: "INTERNAL",
		codes.ResourceExhausted: "RESOURCE_EXHAUSTED", codes.InvalidArgument: "INVALID_ARGUMENT",
		codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	}
	if name, known := names[status.Code(err)]; known {
		return name
	}
	return err.Error()
}

func plain(message proto.Message) json.RawMessage {
	return must(protojson.Marshal(message))
}

func entries(all []*pb.PageTrafficEntry) map[string][]json.RawMessage {
	out := []json.RawMessage{}
	for _, entry := range all {
		out = append(out, plain(entry))
	}
	return map[string][]json.RawMessage{"entries": out}
}

func keys(pages []string) []*client.PageTrafficKey {
	var out []*client.PageTrafficKey
	for _, page := range pages {
		out = append(out, &client.PageTrafficKey{PageId: page})
	}
	return out
}

func main() {
	url, asked := os.Args[1], os.Args[2]
	ctx := context.Background()
	if asked == "watch" {
		count := 0
		for reply, err := range must(client.NewPageTrafficClient(url)).Watch(ctx, &client.PageTrafficKey{PageId: "/home"}, 0) {
			fmt.Printf("\"%d\"\n", must(reply, err).GetValue().GetViews())
			if count++; count == 2 {
				return
			}
		}
	}
	if milliseconds, found := strings.CutPrefix(asked, "absence="); found {
		absence := client.WithAbsence(time.Duration(must(strconv.Atoi(milliseconds))) * time.Millisecond)
		for _, err := range must(client.NewPageTrafficClient(url, absence)).Watch(ctx, &client.PageTrafficKey{}, 0) {
			fmt.Println(string(must(json.Marshal(code(err)))))
		}
		return
	}
	if asked == "one" || asked == "brief" {
		timeout := map[string]time.Duration{"one": patience, "brief": time.Second}[asked]
		options := []client.Option{client.WithToken("secret"), client.WithTimeout(timeout)}
		if len(os.Args) > 3 {
			authorities := x509.NewCertPool()
			authorities.AppendCertsFromPEM(must(os.ReadFile(os.Args[3])))
			options = append(options, client.WithTLS(&tls.Config{RootCAs: authorities}))
		}
		asking := must(client.NewPageTrafficClient(url, options...))
		_, err := asking.Get(ctx, &client.PageTrafficKey{PageId: "/home"})
		fmt.Println(string(must(json.Marshal(code(err)))))
		return
	}
	var q question
	if err := json.Unmarshal([]byte(asked), &q); err != nil {
		log.Fatal(err)
	}
	asking := must(client.NewPageTrafficClient(url, client.WithTimeout(patience)))
	defer asking.Close()
	pages := keys(q.Pages)
	key := pages[0]
	start, end := time.Unix(q.Start, 0), time.Unix(q.End, 0)
	window, step := time.Duration(q.Window)*time.Second, time.Duration(q.Step)*time.Second
	today := &murmur.Calendar{Days: 1, Zone: q.Zone}

	var watched *pb.PageTrafficServiceWatchResponse
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	watching := asking.Watch(limited, key, 0)
	// The second time it begins anew, though nothing has changed.
	for range 2 {
		for reply, err := range watching {
			watched = must(reply, err)
			break
		}
	}
	var set *pb.PageTrafficServiceWatchManyResponse
	for reply, err := range asking.WatchMany(ctx, pages, 0) {
		set = must(reply, err)
		break
	}
	presence := map[string]string{}
	for name, of := range q.Presence {
		of := must(asking.Range(ctx, &client.PageTrafficKey{PageId: of.Page}, time.Unix(of.Start, 0), time.Unix(of.End, 0)))
		presence[name] = of.GetAnswer().GetPresence().String()
	}
	_, combined := asking.CombineSets(ctx, []*pb.PageTrafficServiceSetOperand{
		{Key: key}, {Key: pages[1], Window: durationpb.New(window)},
	}, murmur.SetOperation_SET_OPERATION_UNION, "")
	explaining := asking.Reading(&murmur.ReadOptions{Explain: true})
	answers := map[string]any{
		"replies": map[string]any{
			"Get":           plain(must(asking.Get(ctx, key))),
			"GetMany":       entries(must(asking.GetMany(ctx, pages))),
			"GetWindow":     plain(must(asking.Window(ctx, key, window, end))),
			"GetWindowMany": entries(must(asking.WindowMany(ctx, pages, window, end))),
			"GetRange":      plain(must(asking.Range(ctx, key, start, end))),
			"GetRangeMany":  entries(must(asking.RangeMany(ctx, pages, start, end))),
			"Series":        plain(must(asking.Series(ctx, key, start, end, step))),
			"Watch":         plain(watched),
			"WatchMany":     entries(set.GetEntries()),
		},
		"today": []json.RawMessage{
			plain(must(asking.Calendar(ctx, key, today, end))),
			plain(must(asking.CalendarMany(ctx, pages, today, end))[0]),
			plain(must(asking.CalendarSeries(ctx, key, today, end, &murmur.CalendarStep{Days: 1})).GetPoints()[0]),
		},
		"edges":     entries(must(asking.GetMany(ctx, keys(q.Edges)))),
		"presence":  presence,
		"explained": must(explaining.Get(ctx, key)).GetAnswer().GetExplanation() != nil,
		"combined":  code(combined),
	}
	fmt.Println(string(must(json.Marshal(answers))))
}
