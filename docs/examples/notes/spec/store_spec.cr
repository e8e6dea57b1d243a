require "spec"
require "../src/store"

describe Store do
  it "finds its notes again" do
    path = File.tempname("notes", ".json")
    store = Store.new(path)
    store.add("first")
    second = store.add("second")
    store.delete(1)
    Store.new(path).notes.should eq [second]
    store.find(1).should be_nil
  ensure
    path.try { |file| File.delete?(file) }
  end
end
