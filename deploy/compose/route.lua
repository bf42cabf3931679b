-- Forward every mammogram that arrives to the node, except objects that the node itself sent.
function OnStoredInstance(instanceId, tags, metadata, origin)
   if tags["Modality"] == "MG" and origin["RemoteAet"] ~= "GLAMNODE" then
      SendToModality(instanceId, "glam-node")
   end
end
