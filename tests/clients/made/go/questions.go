// Asks a list of questions by the client that `cargo murmur clients` has made for page-traffic, or for another program, whose
// names stand here then.
//
//	questions URL FILE      FILE has a JSON array of {"method": .., "request": ..}; prints one of {"reply": ..} and
//	                        {"error": {"code": .., "message": ..}}, with the number of gRPC's code
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	client "page-traffic-client"
	pb "page-traffic-client/page_traffic/v1"
)

// Long, as a machine that is busy is no reason to fail.
const patience = 300 * time.Second

type question struct {
	Method  string
	Request json.RawMessage
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// The instant that the client is given, whose zero is none.
func at(instant *timestamppb.Timestamp) time.Time {
	if instant == nil {
		return time.Time{}
	}
	return instant.AsTime()
}

func read[M proto.Message](from json.RawMessage, request M) M {
	if err := protojson.Unmarshal(from, request); err != nil {
		log.Fatal(err)
	}
	return request
}

// The first reply of a stream.
func first[R any](watching iter.Seq2[*R, error]) (*R, error) {
	for reply, err := range watching {
		return reply, err
	}
	return nil, errors.New("the stream ended")
}

// What comes of one question.
func answer(ctx context.Context, asking *client.PageTrafficClient, method string, from json.RawMessage) (proto.Message, error) {
	switch method {
	case "Get":
		of := read(from, &pb.PageTrafficServiceGetRequest{})
		if of.Options != nil {
			asking = asking.Reading(of.Options)
		}
		return asking.Get(ctx, of.Key)
	case "GetMany":
		of := read(from, &pb.PageTrafficServiceGetManyRequest{})
		entries, err := asking.GetMany(ctx, of.Keys)
		return &pb.PageTrafficServiceGetManyResponse{Entries: entries}, err
	case "GetWindow":
		of := read(from, &pb.PageTrafficServiceGetWindowRequest{})
		if of.Calendar != nil {
			return asking.Calendar(ctx, of.Key, of.Calendar, at(of.End))
		}
		return asking.Window(ctx, of.Key, of.Window.AsDuration(), at(of.End))
	case "GetWindowMany":
		of := read(from, &pb.PageTrafficServiceGetWindowManyRequest{})
		entries, err := []*pb.PageTrafficEntry(nil), error(nil)
		if of.Calendar != nil {
			entries, err = asking.CalendarMany(ctx, of.Keys, of.Calendar, at(of.End))
		} else {
			entries, err = asking.WindowMany(ctx, of.Keys, of.Window.AsDuration(), at(of.End))
		}
		return &pb.PageTrafficServiceGetWindowManyResponse{Entries: entries}, err
	case "GetRange":
		of := read(from, &pb.PageTrafficServiceGetRangeRequest{})
		return asking.Range(ctx, of.Key, at(of.Start), at(of.End))
	case "GetRangeMany":
		of := read(from, &pb.PageTrafficServiceGetRangeManyRequest{})
		entries, err := asking.RangeMany(ctx, of.Keys, at(of.Start), at(of.End))
		return &pb.PageTrafficServiceGetRangeManyResponse{Entries: entries}, err
	case "Series":
		of := read(from, &pb.PageTrafficServiceSeriesRequest{})
		if of.Calendar != nil {
			return asking.CalendarSeries(ctx, of.Key, of.Calendar, at(of.End), of.CalendarStep)
		}
		return asking.Series(ctx, of.Key, at(of.Start), at(of.End), of.Step.AsDuration())
	case "CombineSets":
		of := read(from, &pb.PageTrafficServiceCombineSetsRequest{})
		return asking.CombineSets(ctx, of.Sets, of.Operation, of.Field)
	case "Watch":
		of := read(from, &pb.PageTrafficServiceWatchRequest{})
		if of.Calendar != nil {
			return first(asking.WatchBy(ctx, of))
		}
		return first(asking.Watch(ctx, of.Key, of.Window.AsDuration()))
	case "WatchMany":
		of := read(from, &pb.PageTrafficServiceWatchManyRequest{})
		if of.Calendar != nil {
			return first(asking.WatchManyBy(ctx, of))
		}
		return first(asking.WatchMany(ctx, of.Keys, of.Window.AsDuration()))
	}
	return nil, fmt.Errorf("there is no method %q", method)
}

func main() {
	var questions []question
	if err := json.Unmarshal(must(os.ReadFile(os.Args[2])), &questions); err != nil {
		log.Fatal(err)
	}
	asking := must(client.NewPageTrafficClient(os.Args[1], client.WithTimeout(patience)))
	defer asking.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answers := []map[string]any{}
	for _, question := range questions {
		reply, err := answer(ctx, asking, question.Method, question.Request)
		if err != nil {
			said, _ := status.FromError(err)
			answers = append(answers, map[string]any{"error": map[string]any{"code": said.Code(), "message": said.Message()}})
			continue
		}
		answers = append(answers, map[string]any{"reply": json.RawMessage(must(protojson.Marshal(reply)))})
	}
	fmt.Println(string(must(json.Marshal(answers))))
}
