require "json"

# One note, as the API shows it.
record Note, id : Int32, text : String, at : Time do
  include JSON::Serializable
end

# The notes, in memory and in a file, which is written whole or not at all.
class Store
  getter notes : Array(Note)

  def initialize(@path : String)
    @notes = File.exists?(@path) ? Array(Note).from_json(File.read(@path)) : [] of Note
  end

  def add(text : String) : Note
    note = Note.new((@notes.last?.try(&.id) || 0) + 1, text, Time.utc.at_beginning_of_second)
    @notes << note
    save
    note
  end

  def find(id : Int32) : Note?
    @notes.find { |note| note.id == id }
  end

  def delete(id : Int32) : Note?
    find(id).try do |note|
      @notes.delete(note)
      save
      note
    end
  end

  private def save
    File.write("#{@path}.new", @notes.to_json)
    File.rename("#{@path}.new", @path)
  end
end
