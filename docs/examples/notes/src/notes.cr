# An HTTP service with a JSON API, with Crystal's own library alone.
#
#   GET /notes        all notes           POST /notes {"text": "…"}   a new one
#   GET /notes/1      one of them         DELETE /notes/1             away with it
require "http/server"
require "./store"

class Api
  include HTTP::Handler
  LONGEST = 10_000 # characters of a note

  def initialize(@store : Store)
  end

  def call(context)
    request, response = context.request, context.response
    response.content_type = "application/json"
    case {request.method, request.path}
    when {"GET", "/"}, {"GET", "/notes"} then answer response, @store.notes
    when {"POST", "/notes"}              then answer response, @store.add(text_of(request)), 201
    when {"GET", _}                      then answer response, @store.find(id_of(request))
    when {"DELETE", _}                   then answer response, @store.delete(id_of(request))
    else                                      fail response, 405, "this cannot be done here"
    end
  rescue error : JSON::ParseException | ArgumentError
    fail context.response, 400, error.message
  end

  private def text_of(request) : String
    body = request.body.try(&.gets(LONGEST, chomp: false)) || ""
    text = JSON.parse(body)["text"]?.try(&.as_s?)
    raise ArgumentError.new(%(send {"text": "…"})) if text.nil? || text.blank?
    text
  end

  private def id_of(request) : Int32
    request.path.lchop?("/notes/").try(&.to_i?) || 0
  end

  private def answer(response, found, status = 200)
    return fail(response, 404, "there is no such note") if found.nil?
    response.status_code = status
    response.puts found.to_json
  end

  private def fail(response, status, message)
    response.status_code = status
    response.puts({error: message}.to_json)
  end
end

def main
  port = ENV.fetch("PORT", "8080").to_i
  server = HTTP::Server.new([Api.new(Store.new("notes.json"))])
  server.bind_tcp "0.0.0.0", port
  puts "notes: http://0.0.0.0:#{port}/notes"
  server.listen
end

main
