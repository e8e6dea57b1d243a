# Says what this image is, from the facts that were put into it when it was built.
require "json"

IMAGE_FILE = "/etc/bq2/image.json"

struct Package
  include JSON::Serializable
  getter name : String
  getter version : String
  getter license : String
  getter artifact : String
end

struct Image
  include JSON::Serializable
  getter name : String
  getter arch : String
  getter set : String
  getter seed : String?
  getter plan : String
  getter packages : Array(Package)
end

def first_line(path : String) : String
  File.read(path).lines.first? || "unknown"
rescue File::Error
  "unknown"
end

def show(image : Image)
  boot = Dir.exists?("/sys/firmware/efi") ? "EFI" : "not EFI"
  puts "#{image.name}, set #{image.set}, #{image.arch}"
  puts "kernel  #{first_line("/proc/sys/kernel/osrelease")}, booted by #{boot}"
  puts "plan    #{image.plan}"
  image.seed.try { |seed| puts "seed    #{seed}" }
  puts
  names = image.packages.max_of(&.name.size)
  versions = image.packages.max_of(&.version.size)
  image.packages.each do |package|
    puts "#{package.name.ljust(names)}  #{package.version.ljust(versions)}  " \
         "#{package.artifact[0, 16]}  #{package.license}"
  end
end

def main(arguments : Array(String))
  text = File.read(IMAGE_FILE)
  case arguments
  when [] of String then show(Image.from_json(text))
  when ["--json"]   then print text
  else
    STDERR.puts "usage: about [--json]"
    exit 2
  end
rescue error : File::Error
  STDERR.puts "about: #{error.message}: this is no image of bootstrap-qcow2"
  exit 1
rescue error : JSON::ParseException
  STDERR.puts "about: #{IMAGE_FILE}: #{error.message}"
  exit 1
end

# Crystal ignores the signal; `about | head` shall end about as it ends every other tool.
Signal::PIPE.reset
main(ARGV)
